//! `cargo xtask figures`: measures again what the pages table, and writes the tables.
//!
//! A table of a page is between two comments with its name. It is written from what other tasks print with `--json`;
//! the figures of TensorFlow Lite Micro beside them are recorded in `docs/peers.json`.

use crate::board;
use crate::context::Context;
use crate::error::Usage;
use crate::interrupts::Jitter;
use crate::peers::{PeerFigures, Peers};
use crate::period;
use crate::table::or_dash;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::process::{Command, Stdio};
use tealight_cli::grouped;

/// A table in a page.
struct Table {
    name: &'static str,
    page: &'static str,
    /// What measures it.
    tasks: &'static [Task],
    /// Makes the table of what each of the tasks prints.
    rows: fn(&[&str], &Peers) -> Result<String>,
}

const TABLES: &[Table] = &[
    Table { name: "front-page", page: "README.md", tasks: &[CORTEX_M4F], rows: front_page },
    Table { name: "cortex-m4f", page: BENCHMARKS, tasks: &[CORTEX_M4F], rows: cortex_m4f },
    Table { name: "other-cores", page: BENCHMARKS, tasks: OTHER_CORES, rows: other_cores },
    Table { name: "boards", page: BENCHMARKS, tasks: &[Task::Digits], rows: boards },
    Table { name: "weights", page: BENCHMARKS, tasks: &[Task::Weights], rows: weights },
    Table { name: "period", page: FIRMWARE, tasks: &[Task::Period], rows: period },
    Table { name: "interrupts", page: FIRMWARE, tasks: &[Task::Interrupts, Task::MaskedInterrupts], rows: interrupts },
];

const BENCHMARKS: &str = "docs/src/benchmarks.md";
const FIRMWARE: &str = "docs/src/firmware.md";
const CORTEX_M4F: Task = Task::MlperfTiny(board::DEFAULT);
/// Boards of the cores that there are figures of TensorFlow Lite Micro for.
const OTHER_CORES: &[Task] =
    &[Task::MlperfTiny("mps2-an385"), Task::MlperfTiny("mps3-an547"), Task::MlperfTiny("riscv32-virt")];

/// A task that measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// The networks of MLPerf Tiny on a board.
    MlperfTiny(&'static str),
    /// The digits on every board.
    Digits,
    /// A layer in every type of weights.
    Weights,
    /// A control loop between the polls of a network.
    Period,
    /// The same in the interrupt of a timer.
    Interrupts,
    /// The same with interrupts masked after each poll.
    MaskedInterrupts,
}

impl Task {
    /// The arguments of xtask.
    fn arguments(self) -> Vec<String> {
        let words = match self {
            Self::MlperfTiny(board) => &["conformance", "--board", board][..],
            Self::Digits => &["bench", "--all", "digits"],
            Self::Weights => &["blocks", "all"],
            Self::Period => &["period", PERIOD, "--budget", "10000", "--budget", "50000"],
            Self::Interrupts => &["period", PERIOD, "--interrupt"],
            Self::MaskedInterrupts => &["period", PERIOD, "--interrupt", "--masked", "10000"],
        };
        let mut words: Vec<String> = words.iter().map(|word| (*word).into()).collect();
        if let Self::MlperfTiny(_) = self {
            words.extend(NETWORKS.iter().map(|[id, _]| format!("mlperf_{id}")));
        }
        words.push("--json".into());
        words
    }

    /// Runs it, in a process of its own, and returns the JSON that it prints.
    fn measure(self) -> Result<String> {
        let arguments = self.arguments();
        let line = format!("cargo xtask {}", arguments.join(" "));
        eprintln!("{line}");
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("`{line}` failed");
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{line}` prints no text"))
    }
}

/// The network beside the control loop.
const PERIOD: &str = "mlperf_kws";

/// The networks of MLPerf Tiny in the order of the tables, and how they are called there.
const NETWORKS: &[[&str; 2]] = &[
    ["kws", "kws (DS-CNN)"],
    ["vww", "vww (MobileNet 0.25)"],
    ["ic", "ic (ResNet-8)"],
    ["ad", "ad (autoencoder)"],
    ["sww", "sww (1-D DS-CNN)"],
];

/// What a task prints of one model, or of one type of weights, on a board.
#[derive(Debug, Deserialize)]
struct Figures {
    #[serde(alias = "weights")]
    model: String,
    board: String,
    #[serde(default)]
    core: String,
    macs: u64,
    instructions: u64,
    arena_bytes: u64,
    stack_bytes: u64,
    model_bytes: u64,
    runtime_bytes: u64,
    #[serde(default)]
    ram_bytes: u64,
}

impl Figures {
    fn per_mac(&self) -> String {
        format!("{:.2}", self.instructions as f64 / self.macs as f64)
    }
}

/// Measures the tables of these names, or all, and writes them into their pages.
///
/// # Errors
/// There is no such table, a task fails, or a page has no place for its table.
pub fn figures(context: &Context, names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| TABLES.iter().all(|table| table.name != **name)) {
        let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        return Err(Usage(format!("there is no table `{name}`; the tables are {}", tables.join(", "))).into());
    }
    let peers = Peers::read(&context.root)?;
    let mut measured: BTreeMap<Task, String> = BTreeMap::new();
    for table in TABLES.iter().filter(|table| names.is_empty() || names.iter().any(|name| name == table.name)) {
        for &task in table.tasks {
            if let Entry::Vacant(unmeasured) = measured.entry(task) {
                unmeasured.insert(task.measure()?);
            }
        }
        let printed: Vec<&str> = table.tasks.iter().filter_map(|task| measured.get(task)).map(String::as_str).collect();
        let rows = (table.rows)(&printed, &peers).with_context(|| format!("cannot make the table `{}`", table.name))?;
        write(&context.root, table, &rows)?;
    }
    Ok(())
}

/// What tasks print, one after another.
fn parsed<T: DeserializeOwned>(printed: &[&str]) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for text in printed {
        all.extend(serde_json::from_str::<Vec<T>>(text)?);
    }
    Ok(all)
}

/// Puts `rows` into the page of `table`.
fn write(root: &Path, table: &Table, rows: &str) -> Result<()> {
    let file = root.join(table.page);
    let text = std::fs::read_to_string(&file)?;
    let (before, after) = place(&text, table.name).with_context(|| format!("{} has no place for it", table.page))?;
    std::fs::write(&file, format!("{before}{rows}{after}"))?;
    Ok(())
}

/// What stands before and after the rows of a table.
fn place<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let begin = format!("<!-- {name}: `cargo xtask figures {name}` writes this table. -->\n");
    let begin = text.find(&begin)? + begin.len();
    let end = begin + text[begin..].find(&format!("<!-- end of {name} -->"))?;
    Some((&text[..begin], &text[end..]))
}

/// A table of a page: columns of text, then of numbers.
pub fn table(text: &[&str], numbers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let titles: Vec<String> = text.iter().chain(numbers).map(|title| (*title).into()).collect();
    let alignment = [vec!["---"; text.len()], vec!["--:"; numbers.len()]].concat().join("|");
    let rows: Vec<String> = rows.into_iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    format!("| {} |\n|{alignment}|\n{}", titles.join(" | "), rows.concat())
}

/// A row for each network of MLPerf Tiny, on each board, with the figures of TensorFlow Lite Micro.
fn beside_tflm(
    printed: &[&str],
    peers: &Peers,
    row: impl Fn(&str, &Figures, &PeerFigures, u64) -> Vec<String>,
) -> Result<Vec<Vec<String>>> {
    let figures: Vec<Figures> = parsed(printed)?;
    let mut boards: Vec<&str> = figures.iter().map(|figures| figures.board.as_str()).collect();
    boards.dedup();
    let mut rows = Vec::new();
    for board in boards {
        for [id, name] in NETWORKS {
            let model = format!("mlperf_{id}");
            let ours = figures.iter().find(|figures| figures.board == board && figures.model == model);
            let peer = ours.and_then(|ours| peers.find(&ours.core, &model));
            let (Some(ours), Some((_, peer)), Some(floor)) = (ours, peer, peers.floors.get(*id)) else {
                bail!("there are no figures of {model} on {board}");
            };
            rows.push(row(name, ours, peer, *floor));
        }
    }
    Ok(rows)
}

fn front_page(printed: &[&str], peers: &Peers) -> Result<String> {
    let rows = beside_tflm(printed, peers, |name, ours, peer, _| {
        vec![
            name.into(),
            grouped(ours.instructions),
            grouped(peer.instructions),
            grouped(ours.arena_bytes),
            grouped(peer.arena_bytes),
            grouped(ours.runtime_bytes),
            grouped(peer.runtime_flash_bytes),
        ]
    })?;
    let titles = ["instructions", "TFLM", "arena B", "TFLM", "runtime flash B", "TFLM"];
    Ok(table(&["network"], &titles, rows))
}

fn cortex_m4f(printed: &[&str], peers: &Peers) -> Result<String> {
    let rows = beside_tflm(printed, peers, |name, ours, peer, floor| {
        let mut row = vec![name.into(), grouped(ours.macs), grouped(ours.instructions), ours.per_mac()];
        let bytes = [
            peer.instructions,
            ours.arena_bytes,
            floor,
            peer.arena_bytes,
            ours.stack_bytes,
            ours.model_bytes,
            ours.runtime_bytes,
            peer.runtime_flash_bytes,
        ];
        row.extend(bytes.map(grouped));
        row
    })?;
    let titles = [
        "MACs",
        "instructions",
        "per MAC",
        "TFLM",
        "arena B",
        "floor",
        "TFLM",
        "stack B",
        "model B",
        "runtime flash B",
        "TFLM",
    ];
    Ok(table(&["network"], &titles, rows))
}

fn other_cores(printed: &[&str], peers: &Peers) -> Result<String> {
    let rows = beside_tflm(printed, peers, |name, ours, peer, _| {
        let mut row = vec![format!("`{}`", ours.board), name.into()];
        let numbers = [
            ours.instructions,
            peer.instructions,
            ours.arena_bytes,
            peer.arena_bytes,
            ours.runtime_bytes,
            peer.runtime_flash_bytes,
        ];
        row.extend(numbers.map(grouped));
        row
    })?;
    let titles = ["instructions", "TFLM", "arena B", "TFLM", "runtime flash B", "TFLM"];
    Ok(table(&["board", "network"], &titles, rows))
}

fn boards(printed: &[&str], _: &Peers) -> Result<String> {
    let rows = parsed::<Figures>(printed)?.into_iter().map(|ours| {
        let flash = ours.model_bytes + ours.runtime_bytes;
        let numbers = [ours.instructions, ours.arena_bytes, ours.stack_bytes, ours.ram_bytes, flash];
        let mut row = vec![format!("`{}`", ours.board)];
        row.extend(numbers.map(grouped));
        row
    });
    Ok(table(&["board"], &["instructions", "arena B", "stack B", "RAM B", "flash B"], rows))
}

fn weights(printed: &[&str], _: &Peers) -> Result<String> {
    let rows = parsed::<Figures>(printed)?.into_iter().map(|ours| {
        let mut row = vec![ours.model.clone(), grouped(ours.macs), grouped(ours.instructions), ours.per_mac()];
        row.extend([ours.arena_bytes, ours.stack_bytes, ours.model_bytes, ours.runtime_bytes].map(grouped));
        row
    });
    let titles = ["MACs", "instructions", "per MAC", "arena B", "stack B", "model B", "runtime flash B"];
    Ok(table(&["weights"], &titles, rows))
}

fn period(printed: &[&str], _: &Peers) -> Result<String> {
    let mut core = String::new();
    let rows = parsed::<period::Figures>(printed)?.into_iter().map(|loops| {
        // Each core once, before its first budget.
        let named = if loops.core == core { String::new() } else { loops.core.clone() };
        core = loops.core;
        let numbers =
            [loops.budget, loops.longest_poll, loops.median_lateness, loops.worst_lateness, loops.missed as u64];
        let mut row = vec![named];
        row.extend(numbers.map(grouped));
        row.push(or_dash(loops.periods_an_inference));
        row
    });
    let titles = ["budget", "longest poll", "late: median", "worst", "turns missed", "periods an inference"];
    Ok(table(&["core"], &titles, rows))
}

fn interrupts(printed: &[&str], _: &Peers) -> Result<String> {
    let all: Vec<Jitter> = parsed(printed)?;
    let (free, masked): (Vec<&Jitter>, Vec<&Jitter>) = all.iter().partition(|jitter| jitter.masked == 0);
    let mut rows = Vec::new();
    for one in free {
        let same = masked.iter().find(|other| (&other.board, other.budget) == (&one.board, one.budget));
        let same = same.with_context(|| format!("{} was not measured with interrupts masked", one.board))?;
        let mut row = vec![one.core.clone()];
        row.extend([one.resolution, one.median_lateness, one.worst_lateness].map(grouped));
        row.extend([or_dash(one.periods_an_inference), grouped(same.worst_lateness)]);
        rows.push(row);
    }
    let worst = match masked.first() {
        Some(one) => format!("worst, masked for {}", grouped(one.masked)),
        None => bail!("nothing was measured with interrupts masked"),
    };
    Ok(table(&["core"], &["a tick", "late: median", "worst", "periods an inference", &worst], rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_table_has_its_place_and_rows_in_its_page() {
        let root = Context::new().unwrap().root;
        for table in TABLES {
            let text = std::fs::read_to_string(root.join(table.page)).unwrap();
            let (before, after) = place(&text, table.name).unwrap_or_else(|| panic!("no place for {}", table.name));
            let rows = text[before.len()..text.len() - after.len()].lines().filter(|line| line.starts_with('|'));
            assert!(rows.count() > 5, "{} has no rows", table.name);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_network_with_its_peer_beside_it() {
        let peers = Peers::read(&Context::new().unwrap().root).unwrap();
        let ours = |id: &str| {
            json!({
                "model": format!("mlperf_{id}"), "board": "m", "core": "Cortex-M4F", "macs": 1000, "instructions": 1500,
                "arena_bytes": 16, "stack_bytes": 1, "model_bytes": 2, "runtime_bytes": 3,
            })
        };
        let figures: Vec<Value> = NETWORKS.iter().rev().map(|[id, _]| ours(id)).collect();
        let printed = |figures: &[Value]| serde_json::to_string(figures).unwrap();
        let rows = front_page(&[&printed(&figures)], &peers).unwrap();
        assert_eq!(rows.lines().nth(1), Some("|---|--:|--:|--:|--:|--:|--:|"));
        assert_eq!(rows.lines().nth(2), Some("| kws (DS-CNN) | 1,500 | 7,697,758 | 16 | 22,820 | 3 | 54,716 |"));
        assert_eq!(rows.lines().count(), 2 + NETWORKS.len());
        assert!(front_page(&[&printed(&figures[1..])], &peers).is_err(), "a network is missing");
        assert!(front_page(&["{}"], &peers).is_err(), "no list");
    }

    #[test]
    fn interrupts_stand_beside_those_that_were_masked() {
        let peers = Peers::read(&Context::new().unwrap().root).unwrap();
        let jitter = |board: &str, masked: u64, worst: u64| {
            json!([{
                "model": "m", "board": board, "core": "Cortex-M0+", "budget": 50_000, "period": 64_000, "masked": masked,
                "turns": 1000, "median_lateness": 0, "worst_lateness": worst, "resolution": 40,
                "periods_an_inference": null,
            }])
            .to_string()
        };
        let rows = interrupts(&[&jitter("a", 0, 7), &jitter("a", 10_000, 9_920)], &peers).unwrap();
        assert!(rows.lines().next().unwrap().ends_with("| worst, masked for 10,000 |"), "{rows}");
        assert_eq!(rows.lines().nth(2), Some("| Cortex-M0+ | 40 | 0 | 7 | - | 9,920 |"));
        assert!(interrupts(&[&jitter("a", 0, 7), &jitter("b", 10_000, 1)], &peers).is_err());
        assert!(interrupts(&[&jitter("a", 0, 7)], &peers).is_err());
    }

    #[test]
    fn a_core_is_named_before_the_first_of_its_budgets() {
        let peers = Peers::read(&Context::new().unwrap().root).unwrap();
        let loops = |core: &str, budget: u64| {
            json!({
                "model": "m", "board": "b", "core": core, "budget": budget, "polls": 2, "bound": budget,
                "longest_poll": 3, "period": 64_000, "median_lateness": 4, "worst_lateness": 5, "missed": 6,
                "periods_an_inference": 7,
            })
        };
        let printed = json!([loops("A", 1000), loops("A", 2000), loops("B", 1000)]).to_string();
        let rows = period(&[&printed], &peers).unwrap();
        let rows: Vec<&str> = rows.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| A | 1,000 | 3 | 4 | 5 | 6 | 7 |",
                "|  | 2,000 | 3 | 4 | 5 | 6 | 7 |",
                "| B | 1,000 | 3 | 4 | 5 | 6 | 7 |"
            ]
        );
    }
}
