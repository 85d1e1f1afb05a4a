//! `cargo xtask networks`: compiles real networks of published packages, and compares what they answer with the runtimes of
//! their formats.
//!
//! A list, [`fetch::NETWORKS`], names them, the options of `tealight compile` that each needs, and what is expected of
//! it: that its outputs for seeded inputs are those of LiteRT, TensorFlow Lite Micro or ONNX Runtime within a tolerance,
//! or that it is refused for a reason. The task fails where anything else becomes of one. The tables of the book are made
//! of the list, and a test compares them.

use crate::context::Context;
use crate::error::Usage;
use crate::model::ModelFile;
use crate::progress::Progress;
use crate::table::table;
use crate::{fetch, figures, limit, subject};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tealight_cli::{Cli, Screen, grouped};
use tealight_tests::tolerance::floats;

/// The script that asks the other runtimes.
const SCRIPT: &str = "tests/networks/reference.py";
/// Their packages, with hashes.
const PACKAGES: &str = "tests/networks/requirements.txt";

/// Inferences of each network, one after another: state lives on from each to the next.
const INFERENCES: usize = 2;
/// How far an element of float32 may be off, relative to the largest of its output ([`MIN_MAGNITUDE`]), where the list says nothing.
const WITHIN: f64 = 1e-4;
/// The minimum magnitude that an output counts as having: runtimes compute small probabilities by approximations that are exact
/// beside 1, not beside them.
const MIN_MAGNITUDE: f64 = 1e-2;
/// How long another runtime may take for one network.
const SLOWEST: Duration = Duration::from_secs(600);

/// What to try.
#[derive(Debug, Default, clap::Args)]
pub struct NetworksArgs {
    /// Only the networks whose names contain one of these texts [default: all]
    names: Vec<String>,
    /// Prints the list and what is expected of each, and ends
    #[arg(long)]
    list: bool,
    /// Prints one JSON value instead of tables
    #[arg(long)]
    json: bool,
}

impl NetworksArgs {
    /// Those whose names contain one of the texts.
    pub fn of(names: &[&str]) -> Self {
        Self { names: names.iter().map(ToString::to_string).collect(), ..Self::default() }
    }
}

/// The list.
#[derive(Debug, Deserialize)]
struct List {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    model: Vec<Network>,
}

/// A network, and what is expected of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Network {
    id: String,
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "`fetch` reads it")]
    archive: Option<String>,
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "`fetch` reads it")]
    at: Option<usize>,
    path: String,
    sha256: String,
    bytes: u64,
    /// Of `tealight compile`.
    #[serde(default)]
    options: Vec<String>,
    /// The range of the floats at its inputs.
    #[serde(default = "usual_numbers")]
    numbers: [f32; 2],
    reference: Option<Reference>,
    /// By how much outputs may differ: of floats relative to the largest of an output, of integers in codes.
    within: Option<f64>,
    /// Words of the reason why it is refused.
    refused: Option<String>,
    /// Why there is no reference.
    why: Option<String>,
}

fn usual_numbers() -> [f32; 2] {
    [-1.0, 1.0]
}

/// What outputs are compared with.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Reference {
    OnnxRuntime,
    LiteRt,
    Tflm,
    /// Nothing: outputs are finite, and the same a second time.
    None,
}

impl Reference {
    fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "ONNX Runtime",
            Self::LiteRt => "LiteRT",
            Self::Tflm => "TensorFlow Lite Micro",
            Self::None => "nothing",
        }
    }
}

impl Network {
    /// The kind of its file: `tflite` or `onnx`.
    fn kind(&self) -> &str {
        Path::new(&self.path).extension().and_then(|kind| kind.to_str()).unwrap_or_default()
    }

    fn reference(&self) -> Reference {
        let usual = if self.kind() == "onnx" { Reference::OnnxRuntime } else { Reference::LiteRt };
        self.reference.unwrap_or(usual)
    }

    /// Whether this was to become of it.
    fn expects(&self, outcome: &Outcome) -> bool {
        match (outcome, &self.refused) {
            (Outcome::Refused(reason), Some(words)) => reason.contains(words),
            (Outcome::Alone, None) => self.reference() == Reference::None,
            (Outcome::Compared(differences), None) if self.reference() != Reference::None => {
                let exact = if differences.floats.is_some() { 0.0 } else { self.within.unwrap_or(0.0) };
                differences.floats.unwrap_or(0.0) <= self.within.unwrap_or(WITHIN)
                    && differences.codes.unwrap_or(0.0) <= exact
            }
            _ => false,
        }
    }

    /// What is expected, for people.
    fn expectation(&self) -> String {
        match (&self.refused, self.reference()) {
            (Some(words), _) => format!("is refused: {words}"),
            (None, Reference::None) => "runs; there is no reference".into(),
            (None, other) => format!("answers as {}, {}", other.name(), self.tolerance()),
        }
    }

    /// By how much outputs may differ, for people.
    fn tolerance(&self) -> String {
        match self.within {
            None if self.reference() == Reference::Tflm => "the same codes".into(),
            None => format!("within {WITHIN:e}"),
            Some(0.0) => "the same bits".into(),
            Some(codes) if codes >= 1.0 => format!("within {codes} codes"),
            Some(within) => format!("within {within:e}"),
        }
    }
}

/// What became of a network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Compared(Differences),
    /// It runs, and there is nothing to compare with.
    Alone,
    Refused(String),
    /// It compiles, and does not run as it should.
    Wrong(String),
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Compared(differences) => format!("compared, {}", differences.text()),
            Self::Alone => "runs, no reference".into(),
            Self::Refused(reason) => format!("refused: {}", first_reason(reason)),
            Self::Wrong(what) => format!("wrong: {what}"),
        }
    }
}

/// The largest differences of outputs: of floats relative to the largest magnitude of an output, of integers in codes.
/// `None` where there is no output of the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Differences {
    floats: Option<f64>,
    codes: Option<f64>,
}

impl Differences {
    fn text(self) -> String {
        match (self.floats, self.codes) {
            (Some(floats), _) => format!("largest difference {floats:.1e}"),
            (None, Some(codes)) => format!("largest difference {codes} codes"),
            (None, None) => String::new(),
        }
    }
}

/// What was found; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct Found<'a> {
    network: &'a Network,
    kind: &'a str,
    outcome: Outcome,
    /// Whether that is what the list expects.
    expected: bool,
    /// Multiply-accumulates of one inference.
    macs: Option<u64>,
    seconds: f64,
}

/// The other runtimes, installed.
struct Runtimes {
    python: String,
    packages: PathBuf,
    script: PathBuf,
}

/// What the script is told; [`SCRIPT`] describes it.
#[derive(Serialize)]
struct Job<'a> {
    model: &'a Path,
    runtime: Reference,
    shapes: BTreeMap<&'a str, Vec<u32>>,
    values: BTreeMap<&'a str, Vec<f64>>,
    inputs: &'a [crate::model::Tensor],
    outputs: &'a [crate::model::Tensor],
    runs: usize,
    data: &'a Path,
    answer: &'a Path,
}

/// Runs the command.
///
/// # Errors
/// No network has such a name, one cannot be fetched, or something else than expected becomes of one.
pub fn run(context: &Context, args: &NetworksArgs) -> Result<()> {
    let list = List::read(context)?;
    let networks = list.chosen(&args.names)?;
    if args.list {
        return print_list(&networks, args.json);
    }
    let runtimes = Runtimes {
        python: fetch::python_with_pip(context)?,
        packages: fetch::python_packages(context, PACKAGES, "runtimes of networks")?,
        script: context.root.join(SCRIPT),
    };
    let found = networks.iter().map(|network| {
        let file = fetch::network(context, &network.id)?;
        let (progress, start) = (Progress::start(&network.id), Instant::now());
        let (outcome, macs) = perform(network, &file, &runtimes).with_context(|| network.id.clone())?;
        let seconds = start.elapsed().as_secs_f64();
        let expected = network.expects(&outcome);
        let said = outcome.text();
        progress.done(&if expected { said } else { format!("UNEXPECTED {said}; {}", network.expectation()) });
        Ok(Found { network, kind: network.kind(), outcome, expected, macs, seconds })
    });
    let found = found.collect::<Result<Vec<_>>>()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print(&found);
    }
    let unexpected = found.iter().filter(|found| !found.expected).count();
    if unexpected > 0 {
        bail!("{unexpected} of {} networks are not as {} expects", found.len(), fetch::NETWORKS);
    }
    Ok(())
}

impl List {
    fn read(context: &Context) -> Result<Self> {
        let file = context.root.join(fetch::NETWORKS);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    fn networks(&self) -> impl Iterator<Item = &Network> {
        self.package.iter().flat_map(|package| &package.model)
    }

    /// Those whose names contain one of the texts; all if there are none.
    fn chosen(&self, names: &[String]) -> Result<Vec<&Network>> {
        if let Some(name) = names.iter().find(|name| !self.networks().any(|network| network.id.contains(*name))) {
            let text = format!("no network's name contains `{name}`; `cargo xtask networks --list` shows them");
            return Err(Usage(text).into());
        }
        // A whole name stands for itself alone, though others may contain it.
        let whole = |name: &str| self.networks().any(|network| network.id == name);
        let fits = |network: &Network, name: &str| network.id == name || (!whole(name) && network.id.contains(name));
        let is_chosen = |network: &&Network| names.is_empty() || names.iter().any(|name| fits(network, name));
        Ok(self.networks().filter(is_chosen).collect())
    }
}

/// Compiles a network, runs it and compares it. Returns its multiply-accumulates, too, if it compiles.
fn perform(network: &Network, file: &Path, runtimes: &Runtimes) -> Result<(Outcome, Option<u64>)> {
    let folder = tempfile::tempdir()?;
    let compiled = folder.path().join("network.safetensors");
    let words = ["tealight".as_ref(), "compile".as_ref(), file.as_os_str(), "--output".as_ref(), compiled.as_os_str()];
    let words = words.into_iter().chain(network.options.iter().map(AsRef::as_ref));
    let cli = Cli::try_parse_from(words).with_context(|| format!("in the options of {}", fetch::NETWORKS))?;
    if let Err(error) = cli.run(&mut Screen::plain(std::io::sink())) {
        return Ok((Outcome::Refused(error.to_string()), None));
    }
    let model = ModelFile::open(&compiled, &[])?;
    let macs = Some(model.macs);
    let inputs = inputs(&model, network.numbers);
    let ours = subject::run_here(&model.bytes, &inputs)?;
    if network.reference() == Reference::None {
        let again = subject::run_here(&model.bytes, &inputs)?;
        return Ok((alone(&model, &ours, &again), macs));
    }
    let theirs = match runtimes.run(network, file, &model, &inputs, folder.path()) {
        Ok(theirs) => theirs,
        Err(error) => return Ok((Outcome::Wrong(format!("{}: {error:#}", network.reference().name())), macs)),
    };
    let outcome = compare(&model, &ours, &theirs).map_or_else(Outcome::Wrong, Outcome::Compared);
    Ok((outcome, macs))
}

/// Inputs of all inferences, the floats in this range.
fn inputs(model: &ModelFile, [low, high]: [f32; 2]) -> Vec<u8> {
    let mut inputs = subject::random_inputs(model, INFERENCES);
    let mut at = 0;
    for tensor in (0..INFERENCES).flat_map(|_| &model.inputs) {
        if tensor.dtype == "F32" {
            for bytes in inputs[at..at + tensor.bytes].as_chunks_mut::<4>().0 {
                // They are from -2 to 2.
                let number = low + (high - low) * (f32::from_le_bytes(*bytes) + 2.0) / 4.0;
                *bytes = number.to_le_bytes();
            }
        }
        at += tensor.bytes;
    }
    inputs
}

/// The outcome without a reference.
fn alone(model: &ModelFile, outputs: &[u8], again: &[u8]) -> Outcome {
    let mut at = 0;
    for (k, tensor) in (0..INFERENCES).flat_map(|_| model.outputs.iter().enumerate()) {
        if tensor.dtype == "F32" && floats(&outputs[at..at + tensor.bytes]).iter().any(|number| !number.is_finite()) {
            return Outcome::Wrong(format!("output {k} has elements that are not finite"));
        }
        at += tensor.bytes;
    }
    if outputs == again { Outcome::Alone } else { Outcome::Wrong("a second run has other outputs".into()) }
}

/// The differences of the outputs of all inferences.
///
/// # Errors
/// They have other lengths, or an element is no number on one side alone.
fn compare(model: &ModelFile, ours: &[u8], theirs: &[u8]) -> Result<Differences, String> {
    if ours.len() != theirs.len() {
        return Err(format!("the outputs are {} bytes, those of the reference {}", ours.len(), theirs.len()));
    }
    let (mut differences, mut at) = (Differences::default(), 0);
    for (k, tensor) in (0..INFERENCES).flat_map(|_| model.outputs.iter().enumerate()) {
        let of = at..at + tensor.bytes;
        let (ours, theirs) = (&ours[of.clone()], &theirs[of]);
        at += tensor.bytes;
        if tensor.dtype == "F32" {
            let found = relative(&floats(ours), &floats(theirs)).map_err(|what| format!("output {k} {what}"))?;
            differences.floats = Some(differences.floats.unwrap_or(0.0).max(found));
        } else {
            let found = codes(tensor.dtype, ours).zip(codes(tensor.dtype, theirs)).map(|(a, b)| a.abs_diff(b)).max();
            differences.codes = Some(differences.codes.unwrap_or(0.0).max(found.unwrap_or(0) as f64));
        }
    }
    Ok(differences)
}

/// The largest difference, relative to the largest magnitude of the reference's, or to [`MIN_MAGNITUDE`] if that is more.
fn relative(ours: &[f32], theirs: &[f32]) -> Result<f64, String> {
    let largest = theirs.iter().filter(|x| x.is_finite()).fold(MIN_MAGNITUDE, |most, x| most.max(f64::from(x.abs())));
    let mut most = 0f64;
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        if a == b || (a.is_nan() && b.is_nan()) {
            continue;
        }
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        if !difference.is_finite() {
            return Err(format!("is {a} instead of {b} at element {i}"));
        }
        most = most.max(difference / largest);
    }
    Ok(most)
}

/// The elements of a tensor of integers.
fn codes<'a>(dtype: &str, bytes: &'a [u8]) -> Box<dyn Iterator<Item = i64> + 'a> {
    match dtype {
        "I8" => Box::new(bytes.iter().map(|byte| i64::from(byte.cast_signed()))),
        "I32" => Box::new(bytes.as_chunks().0.iter().map(|word| i64::from(i32::from_le_bytes(*word)))),
        "I16" => Box::new(bytes.as_chunks().0.iter().map(|word| i64::from(i16::from_le_bytes(*word)))),
        _ => Box::new(bytes.iter().map(|&byte| i64::from(byte))),
    }
}

impl Runtimes {
    /// The outputs of another runtime, as the model gives them.
    fn run(&self, network: &Network, file: &Path, model: &ModelFile, inputs: &[u8], folder: &Path) -> Result<Vec<u8>> {
        let [data, answer, told] = ["inputs", "answer", "job.json"].map(|name| folder.join(name));
        std::fs::write(&data, inputs)?;
        let job = Job {
            model: file,
            runtime: network.reference(),
            shapes: given(&network.options, "--input-shape")?,
            values: given(&network.options, "--input-value")?,
            inputs: &model.inputs,
            outputs: &model.outputs,
            runs: INFERENCES,
            data: &data,
            answer: &answer,
        };
        std::fs::write(&told, serde_json::to_vec(&job)?)?;
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg(&told).env("PYTHONPATH", &self.packages);
        let output = limit::output(&mut command, SLOWEST)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}", output.status, said.trim_end().lines().last().unwrap_or_default());
        }
        std::fs::read(&answer).context("the script has written no outputs")
    }
}

/// The numbers that an option gives, by the names of the inputs.
fn given<'a, T: std::str::FromStr>(options: &'a [String], option: &str) -> Result<BTreeMap<&'a str, Vec<T>>> {
    let mut found = BTreeMap::new();
    let (pairs, rest) = options.as_chunks::<2>();
    ensure!(rest.is_empty(), "an option has no value");
    for [name, value] in pairs {
        if name == option {
            let (input, numbers) = value.rsplit_once('=').with_context(|| format!("`{value}` has no `=`"))?;
            let numbers: Option<Vec<T>> = numbers.split(',').map(|number| number.parse().ok()).collect();
            found.insert(input, numbers.with_context(|| format!("`{value}` has no numbers"))?);
        }
    }
    Ok(found)
}

/// Prints what is expected.
fn print_list(networks: &[&Network], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(networks)?);
        return Ok(());
    }
    let mut table = table(&["network"], &["bytes"], &["expected"]);
    for network in networks {
        table.row([network.id.clone(), grouped(network.bytes), network.expectation()]);
    }
    println!("{table}");
    Ok(())
}

/// Prints what was found.
fn print(found: &[Found<'_>]) {
    let mut each = table(&["network"], &["MACs", "seconds"], &[""]);
    for Found { network, outcome, expected, macs, seconds, .. } in found {
        let said = outcome.text();
        let said = if *expected { said } else { format!("UNEXPECTED {said}; {}", network.expectation()) };
        let macs = macs.map(grouped).unwrap_or_default();
        each.row([network.id.clone(), macs, format!("{seconds:.1}"), said]);
    }
    println!("{each}");
    let mut sums = table(&["kind"], &["networks", "compile", "compared", "no reference", "refused", "unexpected"], &[]);
    for kind in KINDS {
        let of_kind = || found.iter().filter(|found| found.kind == *kind);
        let count = |is: &dyn Fn(&Found<'_>) -> bool| of_kind().filter(|found| is(found)).count().to_string();
        sums.row([
            (*kind).to_string(),
            of_kind().count().to_string(),
            count(&|found| found.macs.is_some()),
            count(&|found| matches!(found.outcome, Outcome::Compared(_))),
            count(&|found| matches!(found.outcome, Outcome::Alone)),
            count(&|found| matches!(found.outcome, Outcome::Refused(_))),
            count(&|found| !found.expected),
        ]);
    }
    println!("{sums}");
    for Found { network, outcome, .. } in found {
        if let Outcome::Refused(reason) = outcome {
            println!("{} is refused: {}", network.id, first_reason(reason));
        }
    }
}

/// The line of an error that has the cause.
fn first_reason(reason: &str) -> &str {
    reason.lines().find_map(|line| line.trim().strip_prefix("cause: ")).unwrap_or(reason)
}

/// The kinds of files.
const KINDS: &[&str] = &["tflite", "onnx"];

/// The tables of the book: how many there are of each kind, which are refused, and all.
///
/// # Errors
/// There is no list.
pub fn page(context: &Context) -> Result<String> {
    let list = List::read(context)?;
    let of_kind = |kind: &str| {
        let networks: Vec<&Network> = list.networks().filter(|network| network.kind() == kind).collect();
        let refused = networks.iter().filter(|network| network.refused.is_some()).count();
        let is_alone = |network: &&&Network| network.refused.is_none() && network.reference() == Reference::None;
        let alone = networks.iter().filter(is_alone).count();
        let right = networks.len() - refused;
        let share = format!("{} %", 100 * right / networks.len().max(1));
        let numbers = [networks.len(), right - alone, alone, refused].map(|number| number.to_string());
        [vec![format!("`.{kind}`")], numbers.to_vec(), vec![share]].concat()
    };
    let numbers = ["networks", "compared", "without a reference", "refused", "run"];
    let kinds = figures::table(&["kind"], &numbers, KINDS.iter().map(|kind| of_kind(kind)));
    let refused = list.networks().filter_map(|network| {
        let words = network.refused.as_ref()?;
        Some(vec![format!("`{}`", network.id), format!("`{words}`")])
    });
    let refused = figures::table(&["refused", "because of"], &[], refused);
    let mut packages = String::new();
    for package in &list.package {
        let rows = package.model.iter().filter(|network| network.refused.is_none()).map(|network| {
            let options: Vec<String> = network.options.iter().map(|word| format!("`{word}`")).collect();
            let compared = match (network.reference(), &network.why) {
                (Reference::None, Some(why)) => format!("nothing: {why}"),
                (reference, _) => format!("{}, {}", reference.name(), network.tolerance()),
            };
            let name = network.id.strip_prefix(&package.name).unwrap_or(&network.id).trim_start_matches('/');
            vec![format!("`{name}`"), options.join(" "), compared, grouped(network.bytes)]
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            let table = figures::table(&["network", "options", "compared with"], &["bytes"], rows);
            packages += &format!("\n**{} {}**\n\n{table}", package.name, package.version);
        }
    }
    Ok(format!("{kinds}\n{refused}{packages}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn network(text: &str) -> Network {
        toml::from_str(&format!("id = \"p/n\"\npath = \"n.tflite\"\nsha256 = \"\"\nbytes = 1\n{text}")).unwrap()
    }

    #[test]
    fn an_outcome_is_expected_only_as_the_list_says() {
        let compared = |floats, codes| Outcome::Compared(Differences { floats, codes });
        let usual = network("");
        assert!(usual.expects(&compared(Some(9e-5), Some(0.0))) && usual.expects(&compared(None, Some(0.0))));
        for other in [
            compared(Some(2e-4), None),
            compared(Some(0.0), Some(1.0)),
            compared(None, Some(1.0)),
            Outcome::Alone,
            Outcome::Refused("x".into()),
            Outcome::Wrong("x".into()),
        ] {
            assert!(!usual.expects(&other), "{other:?}");
        }
        let codes = network("within = 1.0");
        assert!(codes.expects(&compared(None, Some(1.0))) && !codes.expects(&compared(None, Some(2.0))));
        let refused = network("refused = \"TOPK\"");
        assert!(refused.expects(&Outcome::Refused("for TOPK_V2".into())));
        assert!(!refused.expects(&Outcome::Refused("for another".into())) && !refused.expects(&compared(None, None)));
        let alone = network("reference = \"none\"");
        assert!(alone.expects(&Outcome::Alone) && !alone.expects(&compared(Some(0.0), None)));
    }

    #[test]
    fn floats_are_compared_relative_to_the_largest_and_a_lone_nan_is_a_difference() {
        let found = relative(&[100.0, 1.5], &[100.0, 1.0]).unwrap();
        assert!((found - 0.005).abs() < 1e-9, "{found}");
        assert_eq!(relative(&[f32::NAN, 1.0], &[f32::NAN, 1.0]), Ok(0.0));
        assert!(relative(&[f32::NAN], &[1.0]).is_err() && relative(&[1.0], &[f32::INFINITY]).is_err());
        // A probability of a millionth that is off by a tenth of it.
        let found = relative(&[1.1e-6], &[1e-6]).unwrap();
        assert!(found < 2e-5, "{found}");
        assert_eq!(codes("I8", &[0x80, 1]).collect::<Vec<_>>(), [-128, 1]);
        assert_eq!(codes("U8", &[0x80]).collect::<Vec<_>>(), [128]);
        assert_eq!(codes("I32", &(-5i32).to_le_bytes()).collect::<Vec<_>>(), [-5]);
    }

    #[test]
    fn the_script_is_given_what_the_options_say() {
        let options = ["--input-shape", "a:0=1,8", "--input-value", "sr=16000", "--output-name", "y"];
        let options = options.map(String::from);
        assert_eq!(given::<u32>(&options, "--input-shape").unwrap(), BTreeMap::from([("a:0", vec![1, 8])]));
        assert_eq!(given::<f64>(&options, "--input-value").unwrap(), BTreeMap::from([("sr", vec![16000.0])]));
        assert!(given::<u32>(&options[..5], "--input-shape").is_err());
    }

    /// The promise of the book: of the networks in packages that there are, this share runs.
    #[test]
    fn the_list_has_each_file_once_and_most_of_them_run() {
        let list = List::read(&Context::new().unwrap()).unwrap();
        let (mut ids, mut files) = (BTreeSet::new(), BTreeSet::new());
        for network in list.networks() {
            assert!(ids.insert(&network.id), "{} is there twice", network.id);
            assert!(files.insert(&network.sha256), "the file of {} is there twice", network.id);
            assert!(KINDS.contains(&network.kind()), "{}", network.id);
            let alone = network.reference == Some(Reference::None);
            assert_eq!(alone, network.why.is_some(), "{}: `why` says why there is no reference", network.id);
        }
        for (kind, minimum) in [("tflite", 90), ("onnx", 80)] {
            let of_kind: Vec<_> = list.networks().filter(|network| network.kind() == kind).collect();
            let right = of_kind.iter().filter(|network| network.refused.is_none()).count();
            assert!(100 * right >= minimum * of_kind.len(), "{right} of {} .{kind} files run", of_kind.len());
        }
        assert!(ids.len() >= 60, "{} networks", ids.len());
    }
}
