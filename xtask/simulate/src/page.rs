//! The page of a run: one HTML file with SVG plots, which loads nothing from elsewhere.

use crate::trace::Trace;
use std::fmt::Write as _;
use tealight_balance::run::Record;

/// Width of a plot, and of the room for its axis, in pixels.
const WIDTH: f64 = 900.0;
const AXIS: f64 = 60.0;
/// Height of a plot.
const HEIGHT: f64 = 150.0;
/// The most points of a line; a period between is left out, but for the smallest and the largest of each group.
const POINTS: usize = 900;

/// The colors of lines and classes, which [`HEAD`] defines: distinguishable without red and green.
const COLORS: [&str; 7] = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)"];

const TITLE: &str = "<h1>A balancing robot with two networks</h1>\n";

/// Light and dark, wide and narrow: a plot is not drawn smaller than its text can be read, and is scrolled then.
const HEAD: &str = "\
<meta charset=\"utf-8\"/>
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>
<title>Balance</title>
<style>
:root { color-scheme: light dark; --page: #fff; --text: #222; --faint: #5a5a5a; --grid: #ddd;
  --c0: #0072b2; --c1: #e69f00; --c2: #56b4e9; --c3: #009e73; --c4: #cc79a7; --c5: #d55e00; --c6: #666666 }
@media (prefers-color-scheme: dark) { :root { --page: #16181c; --text: #ddd; --faint: #a4a8b0; --grid: #363a42;
  --c0: #3d9be0; --c3: #1fb48a; --c5: #ee7a2c; --c6: #9aa0a8 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em;
  background: var(--page); color: var(--text) }
h1 { font-size: 22px } h2 { font-size: 16px; margin: 1.4em 0 0.2em }
.key { font-size: 13px; font-weight: normal; color: var(--faint) } .key b { font-weight: normal; white-space: nowrap }
.plot { overflow-x: auto } svg { display: block; width: 100%; min-width: 640px; height: auto }
text { font: 12px system-ui, sans-serif; fill: var(--faint) } .grid { stroke: var(--grid) }
.line { fill: none; stroke-width: 1.4; stroke-linejoin: round }
table { border-collapse: collapse } td { padding: 0.1em 1.5em 0.1em 0; vertical-align: top; overflow-wrap: anywhere }
</style>
";

/// A line of a plot.
struct Line {
    name: &'static str,
    value: fn(&Record) -> f64,
}

/// A plot over time.
struct Plot {
    title: &'static str,
    unit: &'static str,
    lines: &'static [Line],
    /// A value that the vertical axis shows at least, and its negative if lines go below 0.
    least: f64,
}

/// The period in ms; not a number before the first.
fn period(record: &Record) -> f64 {
    if record.period == 0 { f64::NAN } else { f64::from(record.period) / 1000.0 }
}

const PLOTS: &[Plot] = &[
    Plot {
        title: "Angle",
        unit: "°",
        lines: &[
            Line { name: "estimated", value: |record| f64::from(record.estimate.angle.to_degrees()) },
            Line { name: "true", value: |record| f64::from(record.state.angle.to_degrees()) },
        ],
        least: 2.0,
    },
    Plot {
        title: "Torque",
        unit: "N m",
        lines: &[Line { name: "of both motors", value: |record| f64::from(record.torque) }],
        least: 0.05,
    },
    Plot {
        title: "Push",
        unit: "N",
        lines: &[Line { name: "at the top", value: |record| f64::from(record.force) }],
        least: 1.0,
    },
    Plot {
        title: "Position and speed",
        unit: "m, m/s",
        lines: &[
            Line { name: "position", value: |record| f64::from(record.state.position) },
            Line { name: "speed", value: |record| f64::from(record.state.speed) },
        ],
        least: 0.1,
    },
    Plot {
        title: "Loop",
        unit: "ms",
        lines: &[
            Line { name: "period", value: period },
            Line { name: "work in it", value: |record| f64::from(record.busy) / 1000.0 },
        ],
        least: 6.0,
    },
    Plot {
        title: "Slices of the second network",
        unit: "1,000 MACs",
        lines: &[Line { name: "at most", value: |record| record.slice as f64 / 1000.0 }],
        least: 1.0,
    },
];

/// Returns the page.
pub(crate) fn page(trace: &Trace) -> String {
    let summary = &trace.summary;
    let mut html = format!("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n{HEAD}</head>\n<body>\n{TITLE}<table>\n");
    let rows = [
        ("result", if summary.fallen { "fallen".into() } else { "upright".into() }),
        ("largest angle", format!("{:.1}°", summary.largest_angle.to_degrees())),
        ("control periods", format!("{}, {} began late", summary.periods, summary.missed)),
        ("longest work in a period", format!("{:.2} ms", f64::from(summary.longest_busy) / 1000.0)),
        ("inferences of the second network", summary.inferences.to_string()),
        ("pushes", pushes(trace)),
        ("seed", trace.seed.to_string()),
        ("digest of the trajectory", format!("{:016x}", summary.digest)),
    ];
    for (name, value) in rows {
        let _ = writeln!(html, "<tr><td>{name}</td><td>{value}</td></tr>");
    }
    html += "</table>\n";
    for plot in PLOTS {
        html += &of_plot(trace, plot);
    }
    html += &of_scores(trace);
    html += "</body>\n</html>\n";
    html
}

/// The pushes as a script has them.
fn pushes(trace: &Trace) -> String {
    match trace.pushes.is_empty() {
        true => "none".into(),
        false => trace.pushes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The seconds of the run.
fn seconds(trace: &Trace) -> f64 {
    trace.records.last().map_or(1.0, |record| record.micros as f64 / 1e6).max(1e-3)
}

fn x(trace: &Trace, record: &Record) -> f64 {
    AXIS + (WIDTH - AXIS) * record.micros as f64 / 1e6 / seconds(trace)
}

/// The indices of the records that a line is drawn through: of each group, the first, smallest and largest that is a number.
fn chosen(values: &[f64]) -> Vec<usize> {
    let group = (values.len() * 3).div_ceil(POINTS).max(1);
    let mut indices = Vec::new();
    for start in (0..values.len()).step_by(group) {
        let of = (start..(start + group).min(values.len())).filter(|index| values[*index].is_finite());
        let by = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        let mut three = [of.clone().next(), of.clone().min_by(by), of.max_by(by)];
        three.sort_unstable();
        indices.extend(three.into_iter().flatten());
    }
    indices.dedup();
    indices
}

fn of_plot(trace: &Trace, plot: &Plot) -> String {
    let values: Vec<Vec<f64>> = plot.lines.iter().map(|line| trace.records.iter().map(line.value).collect()).collect();
    let all = || values.iter().flatten().copied();
    let low = all().fold(0.0, f64::min);
    let low = if low < 0.0 { low.min(-plot.least) } else { 0.0 };
    let high = all().fold(plot.least, f64::max);
    let y = |value: f64| HEIGHT - 20.0 - (value - low) / (high - low) * (HEIGHT - 30.0);
    let mut html = heading(plot.title, plot.unit, plot.lines.iter().map(|line| line.name));
    html += &opening(trace);
    let mut levels = vec![low, 0.0, high];
    levels.dedup();
    for value in levels {
        html += &level(y(value), &shown(value));
    }
    for (values, color) in values.iter().zip(COLORS) {
        let _ = write!(html, "<polyline class=\"line\" style=\"stroke: {color}\" points=\"");
        for index in chosen(values) {
            let _ = write!(html, "{:.1},{:.1} ", x(trace, &trace.records[index]), y(values[index]));
        }
        html += "\"/>\n";
    }
    html + CLOSING
}

/// The probabilities at the end of each inference, as stacked bars.
fn of_scores(trace: &Trace) -> String {
    let names = trace.labels.iter().map(String::as_str);
    let mut html = heading("Scores of the second network", "probability", names);
    html += &opening(trace);
    let y = |share: f64| HEIGHT - 20.0 - share * (HEIGHT - 30.0);
    for value in [0.0, 0.5, 1.0] {
        html += &level(y(value), &shown(value));
    }
    for record in &trace.records {
        let Some(scores) = record.scores else { continue };
        let mut below = 0.0;
        for (score, color) in scores.iter().zip(COLORS) {
            let share = (f64::from(*score) + 128.0) / 256.0;
            let (x, top, height) = (x(trace, record), y(below + share), y(below) - y(below + share));
            let _ = writeln!(
                html,
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"8\" height=\"{height:.1}\" style=\"fill: {color}\"/>",
                x - 4.0
            );
            below += share;
        }
    }
    html + CLOSING
}

fn heading<'a>(title: &str, unit: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut html = format!("<h2>{title} <span class=\"key\">({unit})");
    for (name, color) in names.zip(COLORS) {
        let _ = write!(html, " <b><span style=\"color: {color}\">■</span> {name}</b>");
    }
    html + "</span></h2>\n"
}

/// The end of a plot.
const CLOSING: &str = "</svg>\n</div>\n";

/// The start of a plot, with its axis of time.
fn opening(trace: &Trace) -> String {
    let mut html = format!("<div class=\"plot\">\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    let seconds = seconds(trace);
    for tick in 0..=10 {
        let share = f64::from(tick) / 10.0;
        let x = AXIS + (WIDTH - AXIS) * share;
        let _ =
            writeln!(html, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"10\" y2=\"{:.1}\"/>", HEIGHT - 20.0);
        let anchor = if tick == 10 { "end" } else { "middle" };
        let _ = writeln!(
            html,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{:.1} s</text>",
            HEIGHT - 5.0,
            share * seconds
        );
    }
    html
}

/// A horizontal line with its value.
fn level(y: f64, value: &str) -> String {
    format!(
        "<line class=\"grid\" x1=\"{AXIS}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
        AXIS - 6.0,
        y + 4.0
    )
}

/// A value with as many digits as an axis needs.
fn shown(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.*}", usize::from(value.abs() < 10.0) * 2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::example;

    /// Checks that every element that is opened is closed, in order; returns the elements' names.
    fn elements(html: &str) -> Vec<String> {
        let (mut open, mut all) = (Vec::<String>::new(), Vec::new());
        for tag in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_string();
            match (tag.starts_with('/'), tag.starts_with('!') || tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name), "</{tag}>"),
                (false, true) => all.push(name),
                (false, false) => {
                    open.push(name.clone());
                    all.push(name);
                }
            }
        }
        assert!(open.is_empty(), "{open:?}");
        all
    }

    #[test]
    fn the_page_is_whole_and_loads_nothing() {
        let trace = example(20_000);
        let html = page(&trace);
        let elements = elements(&html);
        let count = |name: &str| elements.iter().filter(|element| *element == name).count();
        let lines: usize = PLOTS.iter().map(|plot| plot.lines.len()).sum();
        assert_eq!((count("svg"), count("polyline")), (PLOTS.len() + 1, lines));
        assert_eq!(count("rect"), 7 * trace.summary.inferences as usize);
        for loads in ["http", "src=", "href=", "<script", "@import", "url("] {
            assert!(!html.contains(loads), "{loads}");
        }
        assert!(html.contains(&format!("{:016x}", trace.summary.digest)));
        let points =
            html.split("points=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split_whitespace());
        let numbers: Vec<f64> = points.flat_map(|point| point.split(',').map(|part| part.parse().unwrap())).collect();
        assert!(numbers.len() > 1_000 && numbers.iter().all(|number| (0.0..=WIDTH).contains(number)));
    }

    #[test]
    fn the_smallest_and_the_largest_value_of_a_group_are_drawn() {
        let mut values = vec![0.0; 3_000];
        values[1_234] = 9.0;
        values[1_236] = -9.0;
        let chosen = chosen(&values);
        assert!(chosen.contains(&1_234) && chosen.contains(&1_236));
        values[0] = f64::NAN;
        assert!(!super::chosen(&values).contains(&0));
        assert!(chosen.len() <= POINTS + 3 && chosen.is_sorted());
    }
}
