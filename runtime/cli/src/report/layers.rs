//! The table of layers: what each computes, and its share of the work, the time and the file.

use super::Report;
use super::html::{Cell, paragraph, table};
use crate::layers::{self, Layer};
use crate::table::grouped;

/// The maximum number of layers on the page.
const SHOWN: usize = 2000;

/// Returns the table of layers.
pub(super) fn chain(report: &Report<'_>) -> String {
    let all = &report.model.layers;
    let mut titles = vec!["#", "layer", "operator", "output", "type", "MACs"];
    if let Some(prediction) = &report.prediction {
        titles.push("instructions");
        titles.extend(prediction.has_time().then_some("ms"));
    }
    titles.push("bytes of constants");
    let rows = all.iter().take(SHOWN).map(|layer| row(report, layer));
    let mut html = table(&titles, rows);
    if let Some(prediction) = &report.prediction {
        let time = if prediction.has_time() { ", and milliseconds are estimated from them" } else { "" };
        html += &paragraph(&format!(
            "Instructions are predicted for a {} (the board {}){time}. A bar is the share of the whole.",
            prediction.core, prediction.board
        ));
    }
    if all.len() > SHOWN {
        html += &paragraph(&format!(
            "These are the first {} of {} layers; tealight report --json has all.",
            grouped(SHOWN as u64),
            grouped(all.len() as u64)
        ));
    }
    html
}

fn row(report: &Report<'_>, layer: &Layer<'_>) -> Vec<Cell> {
    let totals = &report.model.totals;
    let mut cells = vec![
        Cell::Number(layer.index.to_string()),
        Cell::Text(name(layer).to_string()),
        Cell::Text(layers::title(layer)),
        Cell::Text(layers::shape_text(&layer.output.shape)),
        Cell::Text(layers::types_text(layer)),
        counted(layer.macs, totals.macs),
    ];
    if let Some(prediction) = &report.prediction {
        let all = prediction.layers.iter().map(|layer| layer.instructions).sum();
        let time = prediction.layers.get(layer.index);
        cells.push(time.map_or(Cell::Number(String::new()), |time| counted(time.instructions, all)));
        if prediction.has_time() {
            let milliseconds = time.and_then(|time| time.milliseconds);
            cells.push(Cell::Number(milliseconds.map_or_else(String::new, |time| format!("{time:.2}"))));
        }
    }
    cells.push(counted(layer.constant_bytes, totals.constant_bytes));
    cells
}

/// A number with its share of `all` as a bar; a dash for 0.
fn counted(number: u64, all: u64) -> Cell {
    if number == 0 {
        return Cell::Number("–".into());
    }
    Cell::Bar(grouped(number), number as f64 / all.max(1) as f64)
}

/// Returns the name of a layer: that of its first constant with a name, without its last part.
fn name<'a>(layer: &'a Layer<'_>) -> &'a str {
    let constant = layer.inputs.iter().flatten().find_map(|input| input.name);
    constant.map_or("", |name| name.rsplit_once('.').map_or(name, |(layer, _)| layer))
}
