//! The page: its parts in order, each from the report's data.

use super::evaluation::{Answers, Evaluation, Worst};
use super::float::Comparison;
use super::html::{Cell, Escaped, capitalized, paragraph, section, table};
use super::{Report, layers, map};
use crate::boards::Fit;
use crate::escape::shortened;
use crate::fidelity::{Fidelity, decibels};
use crate::inspect::{MAX_REGIONS, tensor_text};
use crate::table::{bytes, counted, grouped};

/// The style. Colours of a light and of a dark page; those of the memory map can be told apart without red and green.
const STYLE: &str = include_str!("page.css");

/// The maximum number of classes of a confusion matrix.
const MATRIX: usize = 40;

/// The maximum number of rows of a list of classes or of confused pairs.
const LISTED: usize = 20;

/// The maximum number of characters of the list of labels.
const LABELS: usize = 1000;

/// Returns the page, which is also well-formed XML.
pub(super) fn page(report: &Report<'_>) -> String {
    let name = report.model.name.clone().unwrap_or_else(|| report.model.model.display().to_string());
    let name = Escaped(&name);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<h1>{name}</h1>\n"
    );
    html += &figures(report);
    html += &section("Inputs, outputs and origin", &facts(report));
    if let Some(evaluation) = &report.evaluation {
        html += &section("Answers", &answers(report, evaluation));
    }
    html += &section("Compared with the float network", &fidelity(report));
    html += &section("Boards", &boards(&report.model.boards));
    html += &section("Layers", &layers::chain(report));
    html += &section("Memory over time", &memory(report));
    html + "</body>\n</html>\n"
}

/// The figures that matter most.
fn figures(report: &Report<'_>) -> String {
    let totals = &report.model.totals;
    let fits = report.model.boards.iter().filter(|fit| fit.fits).count();
    let mut figures = vec![
        ("file", bytes(totals.file_bytes)),
        ("arena (RAM)", bytes(totals.arena_bytes)),
        ("multiply-accumulates", grouped(totals.macs)),
        ("boards that it fits", format!("{fits} of {}", report.model.boards.len())),
    ];
    if let Some(evaluation) = &report.evaluation
        && let Some(accuracy) = evaluation.accuracy
    {
        figures.push(("accuracy", percent(accuracy)));
    }
    let figure = |(name, value): (&str, String)| {
        format!("<div><b>{}</b><span>{}</span></div>\n", Escaped(&value), Escaped(name))
    };
    format!("<div class=\"figures\">\n{}</div>\n", figures.into_iter().map(figure).collect::<String>())
}

/// What the model takes, returns, and says about itself.
fn facts(report: &Report<'_>) -> String {
    let (model, totals) = (&report.model, &report.model.totals);
    let mut facts = vec![("file".to_string(), model.model.display().to_string())];
    for (what, tensors) in [("input", &model.inputs), ("output", &model.outputs)] {
        facts.extend(tensors.iter().enumerate().map(|(i, tensor)| (format!("{what} {i}"), tensor_text(tensor))));
    }
    facts.extend(model.front_end.iter().map(|front_end| ("front end".to_string(), front_end.clone())));
    facts.push(("format version".into(), report.format_version.to_string()));
    facts.push(("operators".into(), grouped(totals.operators as u64)));
    facts.push(("constants".into(), bytes(totals.constant_bytes)));
    if totals.state_bytes > 0 {
        facts.push(("streaming state".into(), format!("{}, in the arena", bytes(totals.state_bytes))));
    }
    let origin = |(key, text): (&&str, &String)| {
        let names = serde_json::from_str::<Vec<String>>(text).map(|names| names.join(", "));
        let key = if names.is_ok() { format!("names of {key}") } else { key.replace('_', " ") };
        (key, names.unwrap_or_else(|_| text.clone()))
    };
    facts.extend(report.metadata.iter().map(origin));
    let rows = facts.into_iter().map(|(name, value)| vec![Cell::Head(name), Cell::Text(value)]);
    let mut html = format!("<div class=\"facts\">{}</div>\n", table(&[], rows));
    if !model.labels.is_empty() {
        let labels: Vec<_> = model.labels.iter().map(|label| shortened(label, 60)).collect();
        html += &paragraph(&format!("Labels: {}", shortened(&labels.join(", "), LABELS)));
    }
    html
}

/// Where a model fits, and what it needs there.
fn boards(fits: &[Fit]) -> String {
    let share = |needed: u64, all: u64| {
        Cell::Bar(format!("{} of {}", grouped(needed), grouped(all)), needed as f64 / all.max(1) as f64)
    };
    let row = |fit: &Fit| {
        let (verdict, class) = if fit.fits { ("fits", "hit") } else { ("too large", "miss") };
        vec![
            Cell::Head(fit.name.clone()),
            Cell::Shade(verdict.into(), class, 0.5),
            Cell::Text(fit.id.clone()),
            Cell::Text(fit.core.clone()),
            share(fit.flash_needed, fit.flash),
            share(fit.ram_needed, fit.ram),
            Cell::Number(fit.instructions.map_or_else(String::new, grouped)),
            Cell::Number(fit.milliseconds.map_or_else(String::new, |time| format!("{time:.1}"))),
        ]
    };
    let titles = ["board", "", "id", "core", "flash, bytes", "RAM, bytes", "instructions", "ms"];
    let note = "Flash is for the model file and, where it is predicted, the runtime, without an app of your own; RAM is for \
                the arena and the board's stack. Instructions of an inference are predicted, and milliseconds are estimated \
                from them.";
    table(&titles, fits.iter().map(row)) + &paragraph(note)
}

/// The memory map.
fn memory(report: &Report<'_>) -> String {
    let totals = &report.model.totals;
    let mut html = paragraph(&format!(
        "The arena has {}; at most {} are live at one time, where an output that overwrites its input counts as \
         well. Operators run from left to right, offsets in the arena grow downward.",
        bytes(totals.arena_bytes),
        bytes(totals.live_bytes)
    ));
    html += &match report.regions.len() {
        0 => paragraph("There are no values in the arena."),
        count if count > MAX_REGIONS => {
            let values = counted(count, "value");
            paragraph(&format!("{values}: too many for a picture; tealight report --json has them."))
        }
        _ => map::map(&report.regions, totals.operators, totals.arena_bytes),
    };
    html
}

/// Returns a class as its label, or as its number if the model has no label for each.
fn class(report: &Report<'_>, classes: usize, class: usize) -> String {
    let labels = &report.model.labels;
    let label = labels.get(class).filter(|_| labels.len() == classes);
    label.cloned().unwrap_or_else(|| class.to_string())
}

/// Returns what was counted, in a sentence.
pub(super) fn answers_text(evaluation: &Evaluation) -> String {
    let Evaluation { files, inferences, correct, accuracy, .. } = evaluation;
    let of = format!("{} in {}", counted(*inferences, "input"), counted(*files, "file"));
    match (correct, accuracy) {
        (Some(correct), Some(accuracy)) => {
            format!("{} right: {} of {of}", percent(*accuracy), grouped(*correct as u64))
        }
        _ => format!("run on {of}"),
    }
}

/// What the model answers to the inputs.
fn answers(report: &Report<'_>, evaluation: &Evaluation) -> String {
    let Evaluation { classes, minimum, mean, maximum, .. } = evaluation;
    let folder = evaluation.inputs.display().to_string();
    let folder = shortened(&folder, LABELS);
    let sentence = capitalized(&answers_text(evaluation));
    let range = format!("Elements of output 0: {minimum:.4} to {maximum:.4}, {mean:.4} in the mean.");
    let mut html = paragraph(&format!("{sentence}, from {folder}. {range}"));
    if *classes == 0 {
        return html;
    }
    html += &match evaluation.correct {
        Some(_) if *classes <= MATRIX => matrix(report, evaluation),
        Some(_) => confused(report, evaluation),
        None => distribution(report, evaluation),
    };
    html += "<h3>The worst inputs</h3>\n";
    html += &paragraph(if evaluation.correct.is_some() {
        "A margin is the value of the input's class minus the highest of the others: below 0, the answer is wrong."
    } else {
        "A margin is the value of the answer minus the highest of the others."
    });
    html + &worst(report, evaluation)
}

/// The confusion matrix. A shade is the share of the row.
fn matrix(report: &Report<'_>, evaluation: &Evaluation) -> String {
    let classes = evaluation.classes;
    let name = |index| class(report, classes, index);
    let names: Vec<String> = (0..classes).map(name).collect();
    let titles: Vec<&str> =
        ["class \\ answer"].into_iter().chain(names.iter().map(String::as_str)).chain(["inputs", "right"]).collect();
    let row = |of: usize| {
        let mut counts = vec![0; classes];
        let own = evaluation.confusion.iter().filter(|pair| pair.class == of);
        own.for_each(|pair| counts[pair.answer] = pair.count);
        let all: usize = counts.iter().sum();
        let cell = |(answer, &count): (usize, &usize)| {
            let kind = if answer == of { "hit" } else { "miss" };
            let text = if count == 0 { String::new() } else { grouped(count as u64) };
            Cell::Shade(text, kind, count as f64 / all.max(1) as f64)
        };
        let right = if all == 0 { String::new() } else { percent(counts[of] as f64 / all as f64) };
        let cells = counts.iter().enumerate().map(cell);
        let ends = [Cell::Number(grouped(all as u64)), Cell::Number(right)];
        std::iter::once(Cell::Head(names[of].clone())).chain(cells).chain(ends).collect()
    };
    let note = "Each row is a class of inputs, each column an answer. ";
    format!(
        "<h3>Confusion matrix</h3>\n{}<div class=\"matrix\">{}</div>\n",
        paragraph(note),
        table(&titles, (0..classes).map(row))
    )
}

/// The pairs of classes that are confused most often, where there are too many classes for a matrix.
fn confused(report: &Report<'_>, evaluation: &Evaluation) -> String {
    let mut wrong: Vec<&Answers> = evaluation.confusion.iter().filter(|pair| pair.class != pair.answer).collect();
    wrong.sort_by_key(|pair| std::cmp::Reverse(pair.count));
    let most = wrong.first().map_or(1, |pair| pair.count).max(1) as f64;
    let name = |index| Cell::Text(class(report, evaluation.classes, index));
    let row = |pair: &&Answers| {
        let count = Cell::Bar(grouped(pair.count as u64), pair.count as f64 / most);
        vec![name(pair.class), name(pair.answer), count]
    };
    let shown = wrong.iter().take(LISTED).map(row);
    let note = format!("There are {} classes; --json has all pairs.", grouped(evaluation.classes as u64));
    format!("<h3>Most frequent confusions</h3>\n{}{}", paragraph(&note), table(&["class", "answer", "inputs"], shown))
}

/// How often each class is the answer, the most frequent first if there are many.
fn distribution(report: &Report<'_>, evaluation: &Evaluation) -> String {
    let counts = &evaluation.answers;
    let answers: Vec<(usize, usize)> = if evaluation.classes <= LISTED {
        (0..evaluation.classes).map(|answer| (answer, counts.get(&answer).copied().unwrap_or(0))).collect()
    } else {
        let mut answers: Vec<_> = counts.iter().map(|(&answer, &count)| (answer, count)).collect();
        answers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        answers
    };
    let all = evaluation.inferences.max(1) as f64;
    let row = |(answer, count): (usize, usize)| {
        let share = count as f64 / all;
        let name = Cell::Head(class(report, evaluation.classes, answer));
        vec![name, Cell::Bar(grouped(count as u64), share), Cell::Number(percent(share))]
    };
    let note = "The classes of the inputs are not known: with a subfolder for each class, this page has the accuracy and \
                the confusion matrix.";
    format!(
        "<h3>How often each class is the answer</h3>\n{}{}",
        table(&["answer", "inputs", "share"], answers.into_iter().take(LISTED).map(row)),
        paragraph(note)
    )
}

/// The inputs with the lowest margins.
fn worst(report: &Report<'_>, evaluation: &Evaluation) -> String {
    let has_classes = evaluation.correct.is_some();
    let name = |index| class(report, evaluation.classes, index);
    let row = |worst: &Worst| {
        let path = worst.file.strip_prefix(&evaluation.inputs).unwrap_or(&worst.file);
        let mut cells = vec![Cell::Text(path.display().to_string()), Cell::Number(worst.inference.to_string())];
        cells.extend(worst.class.map(|class| Cell::Text(name(class))));
        let numbers = [format!("{:.4}", worst.value), format!("{:.4}", worst.margin)].map(Cell::Number);
        cells.push(Cell::Text(name(worst.answer)));
        cells.extend(numbers);
        cells
    };
    let titles = ["file", "input", "class", "answer", "value", "margin"];
    let titles: Vec<&str> = titles.into_iter().filter(|title| has_classes || *title != "class").collect();
    table(&titles, evaluation.worst.iter().map(row))
}

/// Returns how near the outputs are, in a sentence.
pub(super) fn comparison_text(float: &Comparison) -> String {
    let agreement = float.agreement.map_or_else(String::new, |share| {
        format!("; the same largest output as in float for {} of the inputs", percent(share))
    });
    let (ratio, worst) = (decibels(float.snr_db), float.worst);
    format!("signal to noise of output 0: {ratio}, at most {worst:.4} off{agreement}")
}

/// How near the model is to the float network, or how to find out.
fn fidelity(report: &Report<'_>) -> String {
    let Some(float) = &report.float else {
        return paragraph(
            "Not measured: a model file does not hold the float network that it was quantized from. tealight report \
             --inputs FOLDER --float SOURCE.tflite measures it.",
        );
    };
    let source = float.source.display().to_string();
    let origin = if float.compiled_from_source {
        "the model file was compiled from it"
    } else {
        "the model file names another file as its source"
    };
    let sentence = capitalized(&comparison_text(float));
    let mut html = paragraph(&format!("{sentence}. The float network is {}; {origin}.", shortened(&source, LABELS)));
    html += &match (&float.quantization, float.same_file) {
        (Some(fidelity), Some(same)) => ratios(float, fidelity, same),
        _ => paragraph(
            "Layers were not measured, because the model is neither int8 nor 16x8: tealight compile --calibrate reports them for \
             smaller types of weights.",
        ),
    };
    html
}

/// The ratios of the layers of the network that was quantized again.
fn ratios(float: &Comparison, fidelity: &Fidelity, same_file: bool) -> String {
    let inputs = counted(fidelity.samples, "input");
    let how = if same_file {
        format!(
            "The float network was quantized again with {inputs}, which gave this very file: the ratios are its own."
        )
    } else {
        format!(
            "The float network was quantized again with {inputs}, which gave another file (other inputs or options). \
             These ratios are of that one, whose output has {} (before a final softmax); output 0 of this file has {}. \
             They show which layers lose most.",
            decibels(fidelity.snr_db),
            decibels(float.snr_db)
        )
    };
    let highest = fidelity.layers.iter().map(|layer| layer.snr_db).filter(|ratio| ratio.is_finite());
    let highest = highest.fold(1.0, f64::max);
    let rows = fidelity.layers.iter().map(|layer| {
        let share = if layer.snr_db == f64::INFINITY { 1.0 } else { (layer.snr_db / highest).max(0.0) };
        vec![
            Cell::Head(layer.name.clone()),
            Cell::Text(layer.kind.clone()),
            Cell::Text(layer.weights.unwrap_or_default().to_string()),
            Cell::Bar(decibels(layer.snr_db), share),
            Cell::Number(format!("{:.4}", layer.worst)),
        ]
    });
    let titles = ["layer", "operator", "weights", "signal to noise", "largest difference"];
    paragraph(&how) + &table(&titles, rows)
}

/// Formats a share: "98.70 %".
fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::InspectReport;
    use crate::layers::regions;
    use crate::model_file::ModelFile;
    use std::collections::BTreeMap;
    use std::path::Path;

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/digits.safetensors");

    /// Passes the page of the digits, with changes by `change`, to `check`.
    fn with_page(change: impl FnOnce(&mut Report<'_>), check: impl FnOnce(&str, &roxmltree::Document<'_>)) {
        let file = ModelFile::open(Path::new(DIGITS), None).unwrap();
        let model = file.model().unwrap();
        let mut report = Report {
            output: Path::new("page.html"),
            format_version: 2,
            metadata: BTreeMap::new(),
            model: InspectReport::new(Path::new(DIGITS), &model, &[], None),
            prediction: None,
            evaluation: None,
            float: None,
            regions: regions(&model),
        };
        change(&mut report);
        let html = page(&report);
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        check(&html, &roxmltree::Document::parse_with_options(&html, options).unwrap());
    }

    fn evaluation(classes: usize, confusion: Vec<Answers>) -> Evaluation {
        Evaluation {
            inputs: "folder".into(),
            files: 9,
            inferences: 9,
            classes,
            correct: Some(2),
            accuracy: Some(2.0 / 9.0),
            confusion,
            answers: BTreeMap::new(),
            worst: Vec::new(),
            minimum: 0.0,
            mean: 0.5,
            maximum: 1.0,
        }
    }

    #[test]
    fn many_classes_are_a_list_of_confusions_and_few_a_matrix() {
        let pair = |class, answer, count| Answers { class, answer, count };
        let pairs = || vec![pair(0, 0, 2), pair(1, 2, 3), pair(3, 4, 4)];
        let of = |classes| move |report: &mut Report<'_>| report.evaluation = Some(evaluation(classes, pairs()));
        with_page(of(MATRIX + 1), |html, _| {
            assert!(!html.contains("Confusion matrix") && html.contains("There are 41 classes"), "{html}");
            let (four, three) =
                (html.find("<td>3</td><td>4</td>").unwrap(), html.find("<td>1</td><td>2</td>").unwrap());
            assert!(four < three && !html.contains("<td>0</td><td>0</td>"), "{html}");
        });
        with_page(of(MATRIX), |html, document| {
            assert!(html.contains("Confusion matrix"));
            let shown = document.descendants().filter(|node| node.has_tag_name("b") && node.text() == Some("4"));
            assert_eq!(shown.count(), 1);
        });
        // An output that is not a list of scores has neither.
        with_page(of(0), |html, _| assert!(!html.contains("onfusion") && !html.contains("worst inputs"), "{html}"));
    }

    #[test]
    fn a_page_has_a_bounded_number_of_layers_and_blocks() {
        let many = |report: &mut Report<'_>| {
            let (layer, region) = (report.model.layers[0].clone(), report.regions[0].clone());
            report.model.layers = vec![layer; 3000];
            report.regions = vec![region; MAX_REGIONS + 1];
        };
        with_page(many, |html, document| {
            assert!(html.contains("first 2,000 of 3,000 layers") && html.contains("4,097 values: too many"));
            let count = |name: &str| document.descendants().filter(|node| node.has_tag_name(name)).count();
            assert!(count("tr") < 2100 && count("rect") == 0);
        });
    }

    #[test]
    fn hostile_names_and_labels_stay_texts() {
        const HOSTILE: &str = "</title></style><script>alert(1)</script>\x1b[2J\u{202e}";
        let change = |report: &mut Report<'_>| {
            report.model.name = Some(HOSTILE.into());
            report.model.labels = vec![HOSTILE.into(); 10];
            report.metadata.insert("generator", HOSTILE.into());
            report.model.layers[0].inputs[1].as_mut().unwrap().name = Some(HOSTILE);
            let mut evaluation = evaluation(10, vec![Answers { class: 1, answer: 2, count: 9 }]);
            evaluation.inputs = HOSTILE.into();
            report.evaluation = Some(evaluation);
        };
        with_page(change, |html, document| {
            assert!(!document.descendants().any(|node| node.has_tag_name("script")), "{html}");
            assert!(!html.contains(['\x1b', '\u{202e}']) && !html.contains("<script"), "{html}");
            let heading = document.descendants().find(|node| node.has_tag_name("h1")).unwrap();
            let shown = "</title></style><script>alert(1)</script>\\u{1b}[2J\\u{202e}";
            assert_eq!(heading.text(), Some(shown));
            // The layer, as a cell of its table.
            let cells = document.descendants().filter(|node| node.has_tag_name("td") && node.text() == Some(shown));
            assert!(cells.count() >= 2);
        });
    }
}
