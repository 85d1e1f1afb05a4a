//! The report of `tealight compile --calibrate`: how near the compiled network is to the float one, and what each type
//! of weights costs each layer.

use crate::error::Result;
use crate::screen::Screen;
use crate::table::{Table, counted, grouped};
use serde::Serialize;
use tealight_compiler::quantize::{Activations, Choice, Layer, Report, Trial};

/// How near the compiled network is to the float one; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Fidelity {
    activations: Option<&'static str>,
    in_float: Vec<InFloat>,
    ranges: Option<String>,
    bias_correction: bool,
    equalized: bool,
    pub(crate) samples: usize,
    pub(crate) snr_db: f64,
    median_snr_db: Option<f64>,
    worst_snr_db: Option<f64>,
    worst_sample: Option<usize>,
    agreement: Option<f64>,
    trials: Vec<TrialReport>,
    pub(crate) layers: Vec<LayerReport>,
    warnings: Vec<String>,
}

/// An operator of a quantized network that computes in float32.
#[derive(Debug, Serialize)]
struct InFloat {
    name: String,
    kind: String,
}

#[derive(Debug, Serialize)]
struct TrialReport {
    ranges: String,
    bias_correction: bool,
    equalized: bool,
    snr_db: f64,
    ordinary_snr_db: f64,
}

/// The result of a layer.
#[derive(Debug, Serialize)]
pub(crate) struct LayerReport {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) weights: Option<&'static str>,
    pub(crate) snr_db: f64,
    pub(crate) worst: f32,
    bytes: usize,
    choices: Vec<ChoiceReport>,
}

#[derive(Debug, Serialize)]
struct ChoiceReport {
    weights: &'static str,
    bytes: usize,
    snr_db: f64,
    worst: f32,
}

/// The columns of the table of costs; where space is short, the last one is left out first. All are in `--json`.
const SHOWN: [&str; 12] =
    ["int8", "int8-int4", "16x8", "i8", "int4", "q8_0", "q4_0", "f16", "f32", "q6k", "q5_0", "q4k"];

/// How many operators are named at most.
const NAMED: usize = 12;

impl Fidelity {
    /// Converts a report of the compiler.
    pub(crate) fn of(report: Report) -> Self {
        let trial = |Trial { ranges, bias_correction, equalized, snr_db, ordinary_snr_db }: Trial| {
            let ranges = ranges.to_string();
            TrialReport { ranges, bias_correction, equalized, snr_db, ordinary_snr_db }
        };
        let choice = |Choice { weights, bytes, snr_db, worst }| ChoiceReport { weights, bytes, snr_db, worst };
        let layer = |Layer { name, kind, snr_db, worst, bytes, weights, choices }| {
            let choices = choices.into_iter().map(choice).collect();
            LayerReport { name, kind, weights, snr_db, worst, bytes, choices }
        };
        Self {
            activations: report.activations.map(Activations::name),
            in_float: report.in_float.into_iter().map(|(name, kind)| InFloat { name, kind }).collect(),
            ranges: report.chosen.map(|chosen| chosen.ranges.to_string()),
            bias_correction: report.chosen.is_some_and(|chosen| chosen.bias_correction),
            equalized: report.chosen.is_some_and(|chosen| chosen.equalized),
            samples: report.samples,
            snr_db: report.snr_db,
            median_snr_db: report.median_snr_db,
            worst_snr_db: report.worst_snr_db,
            worst_sample: report.worst_sample,
            agreement: report.agreement,
            trials: report.trials.into_iter().map(trial).collect(),
            layers: report.layers.into_iter().map(layer).collect(),
            warnings: report.warnings,
        }
    }

    /// Prints it as text.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print(&self, screen: &mut Screen) -> Result<()> {
        let how = match &self.ranges {
            Some(ranges) => {
                let bias = if self.bias_correction { "; biases corrected" } else { "" };
                let equalized = if self.equalized { "; weights equalized" } else { "" };
                let to = self.activations.unwrap_or_default();
                format!(
                    "quantized to {to} by {}: ranges by {ranges}{bias}{equalized}; ",
                    counted(self.samples, "input")
                )
            }
            None => format!("measured by {}: ", counted(self.samples, "input")),
        };
        let agreement = self.agreement.map_or_else(String::new, |share| {
            format!("; the same largest output as in float for {:.1} % of the inputs", share * 100.0)
        });
        let each = match (self.median_snr_db, self.worst_snr_db, self.worst_sample) {
            (Some(median), Some(worst), Some(sample)) => {
                format!("{} in the median input, {} in the worst (input {sample}), ", decibels(median), decibels(worst))
            }
            _ => String::new(),
        };
        let sum = decibels(self.snr_db);
        screen.print(format!("\n{how}signal to noise {each}{sum} summed over all{agreement}\n"))?;
        if let Some(text) = self.in_float() {
            screen.print(text)?;
        }
        let mut table = Table::new()
            .text("layer", 0)
            .text("operator", 1)
            .text("weights", 2)
            .number("SNR", 0)
            .number("worst", 0)
            .number("bytes", 2);
        for layer in &self.layers {
            let (snr, worst) = (decibels(layer.snr_db), format!("{:.4}", layer.worst));
            let weights = layer.weights.unwrap_or_default().to_string();
            let bytes = if layer.weights.is_some() { grouped(layer.bytes as u64) } else { String::new() };
            table.row([layer.name.clone(), layer.kind.clone(), weights, snr, worst, bytes]);
        }
        screen.print(table.draw(screen.table_width()).0)?;
        self.print_costs(screen)
    }

    /// Returns a line that names the operators that compute in float32, if there are any.
    fn in_float(&self) -> Option<String> {
        let all: Vec<String> =
            self.in_float.iter().map(|InFloat { name, kind }| format!("`{name}` ({kind})")).collect();
        let rest = match all.len().checked_sub(NAMED) {
            Some(more @ 1..) => format!(" and {more} more, which --json lists"),
            _ => String::new(),
        };
        let activations = self.activations?;
        let what = counted(all.len(), "operator");
        let names = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let text =
            format!("in float32 between conversions, for want of a form in {activations}: {what}, {names}{rest}\n");
        (!all.is_empty()).then_some(text)
    }

    /// Returns the warnings.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Prints bytes and signal-to-noise ratio of each layer in each type.
    fn print_costs(&self, screen: &mut Screen) -> Result<()> {
        let has = |of: &&str| self.layers.iter().any(|layer| layer.choices.iter().any(|choice| choice.weights == *of));
        let types: Vec<&'static str> = SHOWN.into_iter().filter(|of| has(of)).collect();
        if types.is_empty() {
            return Ok(());
        }
        screen.print("\nthe cost of each type for a layer alone, in bytes and in signal-to-noise ratio\n")?;
        let mut table = Table::new().text("layer", 0);
        for (rank, of) in types.iter().enumerate() {
            table = table.number(of, rank as u8);
        }
        for layer in self.layers.iter().filter(|layer| !layer.choices.is_empty()) {
            let cost = |of: &&str| {
                let choice = layer.choices.iter().find(|choice| choice.weights == *of);
                choice.map_or_else(String::new, |choice| match choice.snr_db {
                    f64::INFINITY => grouped(choice.bytes as u64),
                    snr => format!("{} {}", grouped(choice.bytes as u64), decibels(snr)),
                })
            };
            table.row(std::iter::once(layer.name.clone()).chain(types.iter().map(cost)));
        }
        let (text, left_out) = table.draw(screen.table_width());
        screen.print(text)?;
        if left_out.is_empty() {
            return Ok(());
        }
        screen.print(format!("left out for lack of space (--json has them): {}\n", left_out.join(", ")))
    }
}

/// Formats a ratio: "43.1 dB"; "exact" without any noise, "no signal" if there is only noise.
pub(crate) fn decibels(snr: f64) -> String {
    match snr {
        f64::INFINITY => "exact".into(),
        f64::NEG_INFINITY => "no signal".into(),
        snr => format!("{snr:.1} dB"),
    }
}
