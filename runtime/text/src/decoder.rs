//! Assembles whole characters from pieces of text.

/// Joins the bytes of tokens to text, and holds back a character until all of its bytes are there.
///
/// A token of a byte-pair encoding may end inside a character. Bytes that cannot become one are replaced by U+FFFD.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Adds `bytes` and returns the text that is now complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let left = self.pending.len() - used;
            if !chunk.invalid().is_empty() {
                if chunk.invalid().len() == left && unfinished(chunk.invalid()) {
                    break;
                }
                text.push(char::REPLACEMENT_CHARACTER);
                used += chunk.invalid().len();
            }
        }
        self.pending.drain(..used);
        text
    }

    /// Ends the text and returns U+FFFD if a character is incomplete.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Returns whether more bytes could complete these to a character.
fn unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::Decoder;
    use proptest::prelude::*;

    #[test]
    fn a_character_is_returned_with_its_last_byte() {
        let mut decoder = Decoder::default();
        let texts: Vec<String> = "aé🌍".bytes().map(|byte| decoder.push(&[byte])).collect();
        assert_eq!(texts, ["a", "", "é", "", "", "", "🌍"]);
        assert_eq!(decoder.finish(), "");
    }

    #[test]
    fn replaces_invalid_utf8() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(decoder.push(b"x"), "\u{fffd}x");
        assert_eq!(decoder.push(b"\xe2\x82"), "");
        assert_eq!(decoder.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn decoding_in_pieces_equals_decoding_at_once(bytes: Vec<u8>, cuts: Vec<u8>) {
            let mut decoder = Decoder::default();
            let mut text = String::new();
            let mut pending = &bytes[..];
            for cut in cuts {
                let (piece, after) = pending.split_at(usize::from(cut).min(pending.len()));
                text += &decoder.push(piece);
                pending = after;
            }
            text += &decoder.push(pending);
            text += &decoder.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
