//! What the live view shows: a picture of the robot, and lines of text with bars. Pure functions of a period's record.

use std::fmt::Write as _;
use tealight_balance::plant::{FALLEN, ROBOT};
use tealight_balance::run::Record;

/// What is shown.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    /// The last period.
    pub(crate) record: &'a Record,
    /// The angles of the last periods in rad, oldest first.
    pub(crate) angles: &'a [f32],
    /// Periods that began late.
    pub(crate) missed: u32,
    /// The last scores of the second network, as probabilities with the names of their classes.
    pub(crate) scores: &'a [(String, f64)],
    /// Times real time.
    pub(crate) speed: f64,
    /// The force of a key's push in N.
    pub(crate) newtons: f32,
}

/// Rows of the picture of the robot, and of the curve below.
const ROBOT_ROWS: usize = 8;
const CURVE_ROWS: usize = 7;

/// Columns of a bar.
const BAR: usize = 41;

/// The view in lines of at most `columns` characters.
pub(crate) fn lines(view: &View<'_>, columns: usize) -> Vec<String> {
    let record = view.record;
    let degrees = record.state.angle.to_degrees();
    let mut lines = vec![
        format!("balance   {:.2} s, at {} x real time", record.micros as f64 / 1e6, view.speed),
        format!("← → push with {} N for 0.1 s    q ends", view.newtons),
        String::new(),
    ];
    lines.extend(robot(record.state.angle, record.force));
    lines.push(String::new());
    let (slant, max) = (f64::from(FALLEN.to_degrees()), f64::from(ROBOT.max_torque));
    lines.push(format!("angle    {:>8.2} °    {}", degrees, bar(f64::from(degrees) / slant)));
    lines.push(format!("torque   {:>8.3} N m  {}", record.torque, bar(f64::from(record.torque) / max)));
    lines.push(format!("push     {:>8.1} N", record.force));
    lines.push(format!("position {:>8.2} m    speed {:.2} m/s", record.state.position, record.state.speed));
    let ms = |micros: u32| f64::from(micros) / 1000.0;
    lines.push(format!(
        "loop     {:>8.2} ms   {:.2} ms of work, {} periods late",
        ms(record.period),
        ms(record.busy),
        view.missed
    ));
    lines.push(format!("slice    {:>8} MACs at most, of the second network", record.slice));
    if record.state.fallen {
        lines.push("the robot has fallen: q ends".into());
    }
    lines.push(String::new());
    lines.extend(curve(view.angles, columns));
    lines.push(String::new());
    for (name, share) in view.scores {
        let length = (share * 20.0).round() as usize;
        lines.push(format!("{name:<12} {:>4.0} %  {}", share * 100.0, "█".repeat(length)));
    }
    lines.into_iter().map(|line| line.chars().take(columns).collect()).collect()
}

/// A bar from the middle to a share from -1 to 1.
fn bar(share: f64) -> String {
    let middle = BAR / 2;
    let end = (middle as f64 * (1.0 + share.clamp(-1.0, 1.0))).round() as usize;
    let of = |column: usize| match column {
        _ if column == middle => '│',
        _ if (end.min(middle)..=end.max(middle)).contains(&column) => '█',
        _ => '·',
    };
    (0..BAR).map(of).collect()
}

/// The robot from the side: a wheel, a body at its angle, and an arrow where it is pushed.
fn robot(angle: f32, force: f32) -> Vec<String> {
    const COLUMNS: usize = 41;
    let mut rows = vec![vec![' '; COLUMNS]; ROBOT_ROWS];
    let mut put = |along: f32, up: f32, sign: char| {
        // A character is about twice as high as it is wide.
        let (column, row) = ((COLUMNS / 2) as f32 + along * 2.0, (ROBOT_ROWS - 2) as f32 - up);
        if let Some(cell) =
            rows.get_mut(row.round().max(0.0) as usize).and_then(|row| row.get_mut(column.round() as usize))
        {
            *cell = sign;
        }
    };
    let length = (ROBOT_ROWS - 2) as f32;
    for step in 0..=24 {
        let radius = length * step as f32 / 24.0;
        put(radius * angle.sin(), radius * angle.cos(), '█');
    }
    put(0.0, 0.0, '◉');
    if force != 0.0 {
        let (top, side) = (length * angle.cos(), -1.5 * force.signum());
        put(length * angle.sin() + side, top, if force > 0.0 { '→' } else { '←' });
    }
    let mut lines: Vec<String> = rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_string()).collect();
    if let Some(ground) = lines.last_mut() {
        *ground = "▔".repeat(COLUMNS);
    }
    lines
}

/// The angles as a curve of dots, with the largest in degrees.
fn curve(angles: &[f32], columns: usize) -> Vec<String> {
    let columns = columns.saturating_sub(10).max(1);
    let most = angles.iter().fold(2.0_f32, |most, angle| most.max(angle.to_degrees().abs()));
    let mut rows = vec![vec![' '; columns]; CURVE_ROWS];
    let middle = (CURVE_ROWS / 2) as f32;
    for column in 0..columns {
        let of = column * angles.len() / columns;
        let Some(angle) = angles.get(of) else { continue };
        let row = middle - angle.to_degrees() / most * middle;
        if let Some(cell) = rows.get_mut(row.round().max(0.0) as usize).and_then(|row| row.get_mut(column)) {
            *cell = '•';
        }
    }
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = match index {
            0 => format!("{most:>6.1} ° "),
            _ if index == CURVE_ROWS / 2 => "     0 ° ".into(),
            _ if index + 1 == CURVE_ROWS => format!("{:>6.1} ° ", -most),
            _ => " ".repeat(9),
        };
        let _ = write!(line, "{}", row.iter().collect::<String>().trim_end());
        lines.push(line.trim_end().to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::example;

    #[test]
    fn a_bar_grows_from_the_middle_to_its_share() {
        let count = |share: f64| bar(share).chars().filter(|sign| *sign == '█').count();
        assert_eq!([0.0, 0.5, -0.5, 1.0, 7.0].map(count), [0, 10, 10, 20, 20]);
        assert!(bar(1.0).ends_with('█') && bar(-1.0).starts_with('█'));
    }

    #[test]
    fn the_picture_leans_with_the_robot_and_shows_a_push() {
        let tip = |angle: f32| robot(angle, 0.0).iter().find(|line| line.contains('█')).unwrap().find('█').unwrap();
        assert!(tip(-0.5) < tip(0.0) && tip(0.0) < tip(0.5));
        assert!(robot(0.0, 3.0).concat().contains('→') && robot(0.0, -3.0).concat().contains('←'));
        assert_eq!(robot(0.3, 0.0).len(), ROBOT_ROWS);
    }

    #[test]
    fn the_view_fits_a_terminal_and_has_the_numbers_of_its_record() {
        let trace = example(20_000);
        let pushed = trace.records.iter().find(|record| record.force != 0.0).unwrap();
        let angles: Vec<f32> = trace.records.iter().map(|record| record.state.angle).collect();
        let scores = vec![("walking".to_string(), 0.75)];
        let view = View { record: pushed, angles: &angles, missed: 3, scores: &scores, speed: 1.0, newtons: 4.0 };
        let shown = lines(&view, 60);
        assert!(shown.iter().all(|line| line.chars().count() <= 60), "{shown:#?}");
        let text = shown.join("\n");
        for part in [
            "     6.0 N",
            "5.00 ms",
            "3 periods late",
            "walking        75 %",
            "→",
            &format!("{:.3} N m", pushed.torque),
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        let largest = angles.iter().fold(0.0_f32, |most, angle| most.max(angle.abs())).to_degrees();
        assert!(text.contains(&format!("{largest:>6.1} °")), "{text}");
    }
}
