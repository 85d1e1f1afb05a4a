//! A scan of the file's messages before they are read.
//!
//! `rten-onnx` reads nested messages by recursion without a limit, allocates a structure for each of them, and skips
//! fields that it does not know. The scan walks the same messages without recursion: it bounds their depth, checks that
//! each length is inside the message around it, bounds the memory of the structures by the size of the file, and refuses
//! fields whose loss would change the network. It also reads packed numbers: at one without an end, `rten-onnx` waits
//! forever.

use crate::diag::OnnxError;
use crate::limit::{FACTOR, MIN_LIMIT};

/// The maximum depth of messages: sixteen graphs inside each other, each in an attribute of a node, and a tensor's type.
const MAX_DEPTH: usize = 3 * 16 + 8;

/// A kind of message in ONNX's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    Shape,
    Dimension,
    /// Pairs of text, and operator sets: no messages in them.
    Leaf,
}

/// What becomes of a field.
enum Rule {
    /// It is a message, for which this many bytes are allocated.
    Message(Message, u64),
    /// Each occurrence, beside its content, takes this many bytes.
    Value(u64),
    /// The same, and each value is an integer of one to ten bytes.
    Integers(u64),
    /// It is skipped, and the network is the same without it.
    Skip,
    /// It is skipped, and the network would be another one: what it is, and how to do without it.
    Refused(&'static str, &'static str),
}

/// Returns the rule of field `number` of `message`. Sizes are those of the reader's structures, rounded up, twice: a list
/// grows by doubling.
fn rule(message: Message, number: u64) -> Rule {
    use Message as M;
    let text = Rule::Value(48);
    match (message, number) {
        (M::Model, 7) => Rule::Message(M::Graph, 0),
        (M::Model, 8 | 14) => Rule::Message(M::Leaf, 128),
        (M::Model, 20) => Rule::Refused("training information", "export it for inference"),
        (M::Model, 25) => Rule::Refused("local functions", "inline them with onnx.inliner.inline_local_functions"),
        (M::Graph, 1) => Rule::Message(M::Node, 512),
        (M::Graph, 5) => Rule::Message(M::Tensor, 768),
        (M::Graph, 11..=13) => Rule::Message(M::ValueInfo, 256),
        (M::Graph, 15) => Rule::Refused("sparse initializers", "export dense weights"),
        (M::Node, 1 | 2) => text,
        (M::Node, 5) => Rule::Message(M::Attribute, 1536),
        (M::Node, 8) => Rule::Refused("overloads of local functions", "inline them with onnx.inliner"),
        (M::Attribute, 5) => Rule::Message(M::Tensor, 0),
        (M::Attribute, 6) => Rule::Message(M::Graph, 0),
        (M::Attribute, 7) => Rule::Value(16),
        (M::Attribute, 8) => Rule::Integers(16),
        (M::Attribute, 9) => text,
        (M::Attribute, 10) => Rule::Refused("attributes that are lists of tensors", "export it without them"),
        (M::Attribute, 11) => Rule::Refused("attributes that are lists of graphs", "export it without them"),
        (M::Attribute, 14 | 15) => Rule::Refused("attributes that are types", "export it without sequences or maps"),
        (M::Attribute, 21) => Rule::Refused("references to attributes of functions", "inline them with onnx.inliner"),
        (M::Attribute, 22 | 23) => Rule::Refused("attributes that are sparse tensors", "export dense tensors"),
        (M::Tensor, 1 | 7) => Rule::Integers(16),
        (M::Tensor, 10) => Rule::Value(16),
        (M::Tensor, 3) => Rule::Refused("tensors in segments", "export it with whole tensors"),
        (M::Tensor, 4) => Rule::Value(8),
        (M::Tensor, 5) => Rule::Integers(8),
        (M::Tensor, 13) => Rule::Message(M::Leaf, 128),
        (M::ValueInfo, 2) => Rule::Message(M::Type, 0),
        (M::Type, 1) => Rule::Message(M::TensorType, 0),
        (M::Type, 4) => Rule::Message(M::SequenceType, 128),
        (M::TensorType, 2) => Rule::Message(M::Shape, 0),
        (M::SequenceType, 1) => Rule::Message(M::Type, 0),
        (M::Shape, 1) => Rule::Message(M::Dimension, 128),
        _ => Rule::Skip,
    }
}

/// Checks the messages of `file`.
///
/// # Errors
/// A length reaches outside its message, messages are nested too deep or are too many for a file of this size, or a
/// field cannot be compiled.
pub(super) fn scan(file: &[u8]) -> Result<(), OnnxError> {
    let limit = (file.len() as u64).saturating_mul(FACTOR).saturating_add(MIN_LIMIT);
    let mut needed = 0u64;
    // The messages around the current position, each with its end.
    let mut open = vec![(Message::Model, file.len())];
    let mut at = 0;
    while let Some(&(message, end)) = open.last() {
        if at >= end {
            open.pop();
            continue;
        }
        let key = varint(file, &mut at, end)?;
        let rule = rule(message, key >> 3);
        let content = match key & 7 {
            0 => {
                varint(file, &mut at, end)?;
                None
            }
            1 => skip(&mut at, 8, end)?,
            2 => {
                let len = varint(file, &mut at, end)?;
                let start = at;
                skip(&mut at, len, end)?;
                Some(start)
            }
            5 => skip(&mut at, 4, end)?,
            other => return Err(damaged(at, format!("a field of kind {other}"))),
        };
        if let (Rule::Integers(_), Some(start)) = (&rule, content) {
            let mut number = start;
            while number < at {
                varint(file, &mut number, at)?;
            }
        }
        match (rule, content) {
            (Rule::Refused(what, help), _) => return Err(OnnxError::Unread { what, help }),
            (Rule::Message(inner, size), Some(start)) => {
                if open.len() >= MAX_DEPTH {
                    return Err(OnnxError::TooLarge(format!("more than {MAX_DEPTH} messages inside each other")));
                }
                needed = needed.saturating_add(size);
                open.push((inner, at));
                at = start;
            }
            (Rule::Message(..), None) => return Err(damaged(at, "a number instead of a message".into())),
            // Packed values take eight bytes for one.
            (Rule::Value(size) | Rule::Integers(size), Some(start)) => {
                needed =
                    needed.saturating_add(size).saturating_add(if size == 48 { 0 } else { 8 * (at - start) as u64 });
            }
            (Rule::Value(size) | Rule::Integers(size), None) => needed = needed.saturating_add(size),
            (Rule::Skip, _) => {}
        }
        if needed > limit {
            return Err(OnnxError::TooLarge(format!(
                "so many nodes, attributes and tensors that reading them would take over {limit} bytes"
            )));
        }
    }
    Ok(())
}

fn damaged(at: usize, what: String) -> OnnxError {
    OnnxError::Damaged(format!("{what} at byte {at}"))
}

/// Moves over `len` bytes.
fn skip(at: &mut usize, len: u64, end: usize) -> Result<Option<usize>, OnnxError> {
    match usize::try_from(len).ok().and_then(|len| at.checked_add(len)).filter(|&next| next <= end) {
        Some(next) => *at = next,
        None => return Err(damaged(*at, format!("a length of {len} bytes, which reaches outside its message"))),
    }
    Ok(None)
}

fn varint(file: &[u8], at: &mut usize, end: usize) -> Result<u64, OnnxError> {
    let mut value = 0u64;
    for (i, &byte) in file.get(*at..end).unwrap_or_default().iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            *at += i + 1;
            return Ok(value);
        }
    }
    Err(damaged(*at, "a number without an end".into()))
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, scan};
    use crate::diag::OnnxError;
    use tealight_testing::onnx::field;

    #[test]
    fn graphs_inside_each_other_are_bounded() {
        let nested = |graphs: usize| {
            let mut graph = Vec::new();
            for _ in 1..graphs {
                graph = field(1, &field(5, &field(6, &graph)));
            }
            field(7, &graph)
        };
        assert_eq!(scan(&nested(16)), Ok(()));
        assert!(matches!(scan(&nested(MAX_DEPTH)), Err(OnnxError::TooLarge(_))));
        assert!(matches!(scan(&nested(10_000)), Err(OnnxError::TooLarge(_))));
    }

    #[test]
    fn lengths_outside_their_message_are_refused() {
        for file in [&[0x3a, 5, 0x0a][..], &[0x3a, 2, 0x0a, 1], &[0x3a, 0xff], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(matches!(scan(file), Err(OnnxError::Damaged(_))), "{file:?}");
        }
        assert_eq!(scan(&[]), Ok(()));
    }

    #[test]
    fn packed_numbers_without_an_end_are_refused() {
        for (tensor, number) in [(true, 1), (true, 5), (true, 7), (false, 8)] {
            let file = |content: &[u8]| {
                let packed = field(number, content);
                field(7, &if tensor { field(5, &packed) } else { field(1, &field(5, &packed)) })
            };
            assert_eq!(scan(&file(&[1, 0x80, 1, 7])), Ok(()));
            for content in [&[0xff; 10][..], &[0xff; 40], &[1, 0x80]] {
                assert!(matches!(scan(&file(content)), Err(OnnxError::Damaged(_))), "field {number}: {content:?}");
            }
        }
    }

    #[test]
    fn fields_that_would_be_lost_are_refused_by_name() {
        let function = [&[0xca, 1, 0][..]].concat();
        let sparse = field(7, &field(15, &[]));
        let graphs = field(7, &field(1, &field(5, &field(11, &[]))));
        for (file, what) in [(function, "local functions"), (sparse, "sparse"), (graphs, "lists of graphs")] {
            let error = scan(&file).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn many_empty_messages_are_refused() {
        let attributes = [0x2a, 0].repeat(100_000);
        assert!(matches!(scan(&field(7, &field(1, &attributes))), Err(OnnxError::TooLarge(_))));
        assert_eq!(scan(&field(7, &field(1, &[0x2a, 0].repeat(1000)))), Ok(()));
    }
}
