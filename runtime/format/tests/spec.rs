//! The table of operators in SPEC.md matches the operators' own facts.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::fmt::Write;
use std::fs;
use tealight_format::OpCode;
use tealight_format::ops::Role;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md");
const START: &str = "<!-- Made from the operators themselves";
const END: &str = "<!-- End of what is made. -->";

/// The table of operators, and the lists of those that accept F16 and I8 weights.
fn made() -> String {
    let mut made = String::from(
        "| code | operator | inputs | attribute words | rows | cost of a row |\n|--:|---|---|---|---|---|\n",
    );
    for code in OpCode::ALL {
        let spec = code.spec();
        let cells = [spec.inputs, spec.attributes, spec.rows, spec.cost];
        write!(made, "| {} | {} |", *code as u8, code.name()).unwrap();
        for cell in cells {
            let gap = if cell.is_empty() { "" } else { " " };
            write!(made, " {cell}{gap}|").unwrap();
        }
        made.push('\n');
    }
    let with = |roles: &[Role]| {
        let has = |code: &&OpCode| code.inputs().iter().any(|input| roles.contains(&input.role));
        let codes: Vec<String> = OpCode::ALL.iter().filter(has).map(|code| (*code as u8).to_string()).collect();
        let (last, others) = codes.split_last().unwrap();
        format!("{} and {last}", others.join(", "))
    };
    let (halves, bytes) = (with(&[Role::FloatWeights, Role::ChannelWeights]), with(&[Role::ChannelWeights]));
    write!(made, "\nWeights of {halves} may be F16 instead of F32. Those of {bytes} may also be I8 or I4:\n").unwrap();
    made.push_str(
        "input 2 is then present, and is channels F32 `[O, 2]`, the scale and the bias of each output channel.\n",
    );
    made
}

#[test]
fn the_operator_table_of_spec_md_is_up_to_date() {
    let spec = fs::read_to_string(SPEC).unwrap();
    let start = spec.find(START).unwrap();
    let start = start + spec[start..].find("-->\n").unwrap() + "-->\n".len();
    let end = start + spec[start..].find(END).unwrap();
    let made = format!("\n{}\n", made());
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        fs::write(SPEC, [&spec[..start], &made, &spec[end..]].concat()).unwrap();
    } else {
        assert!(
            spec[start..end] == made,
            "SPEC.md does not have this table; `TEALIGHT_BLESS=1 cargo test -p tealight-format --test spec` writes it:\n{made}"
        );
    }
}

#[test]
fn every_operator_has_inputs_and_a_described_row() {
    for code in OpCode::ALL {
        let (spec, inputs) = (code.spec(), code.inputs());
        assert!(!inputs.is_empty() && !code.about().trim().is_empty(), "{}", code.name());
        assert!(!spec.inputs.is_empty() && !spec.rows.is_empty() && !spec.cost.is_empty(), "{}", code.name());
        let cells = [spec.inputs, spec.attributes, spec.rows, spec.cost];
        assert!(cells.iter().all(|cell| !cell.contains(['|', '\n'])), "{}: a cell would break the table", code.name());
    }
}
