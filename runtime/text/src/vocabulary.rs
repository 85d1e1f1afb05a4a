//! Checks a byte-pair encoding before anything is built from it.
//!
//! The compiler checks what it writes, and [`Tokenizer::read`](crate::Tokenizer::read) what it reads, because a model
//! file may come from anyone. If a list of merges contradicts the vocabulary, the library that encodes text panics or
//! does not terminate. The limits bound memory: that library keeps about five copies of each token and two of each
//! merge.

use std::collections::HashMap;

/// The maximum number of tokens. The largest published vocabularies have some 262,000.
pub const MAX_TOKENS: usize = 1 << 19;

/// The maximum number of bytes of all tokens together.
pub const MAX_TOKEN_BYTES: usize = 1 << 24;

/// The maximum number of merges. Published vocabularies have up to some 515,000.
pub const MAX_MERGES: usize = 1 << 20;

/// The maximum number of bytes of the results of all merges together.
pub const MAX_MERGED_BYTES: usize = 1 << 25;

/// The maximum number of bytes of all control and user-defined tokens together, which are searched for in every text.
pub const MAX_WHOLE_BYTES: usize = 1 << 20;

/// The maximum number of tokens that end a text.
pub const MAX_ENDS: usize = 1 << 10;

/// GGML's kinds of tokens: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
const KINDS: std::ops::RangeInclusive<u8> = 1..=6;

/// A control token: matched in a text as a whole, and not text itself.
pub(crate) const CONTROL: u8 = 3;

/// A user-defined token: matched in a text as a whole.
pub(crate) const USER_DEFINED: u8 = 4;

/// A byte-pair encoding as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct BytePairs<'a> {
    /// The tokens, in GPT-2's printable form.
    pub tokens: &'a [&'a str],
    /// GGML's kind of each token.
    pub kinds: &'a [u8],
    /// Pairs of tokens that are merged into one, in order of priority.
    pub merges: &'a [[u32; 2]],
    /// The token to put at the beginning of a text, if any.
    pub begin: Option<u32>,
    /// Tokens that end a text.
    pub end: &'a [u32],
}

/// A fault in a vocabulary, and the part that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VocabularyFault {
    /// The part, by its name in a model file: `tokenizer.tokens`, `tokenizer.kinds`, `tokenizer.merges`,
    /// `tokenizer.begin` or `tokenizer.end`.
    pub part: &'static str,
    /// What is wrong with it, as a predicate: "has the token "a" twice".
    pub what: String,
}

impl BytePairs<'_> {
    /// Checks that all parts are in range and consistent: tokens are distinct and not empty, each has a kind, and each
    /// merge joins two tokens to an existing one. Encoding then terminates, because every merge makes a word one token
    /// shorter.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn check(&self) -> Result<(), VocabularyFault> {
        let numbers = self.check_tokens()?;
        self.check_kinds()?;
        self.check_merges(&numbers)?;
        let known = |token: u32| index(token) < self.tokens.len();
        if let Some(token) = self.begin.filter(|&token| !known(token)) {
            return Err(fault(BEGIN, format!("names the token {token}, but there are only {}", self.tokens.len())));
        }
        if self.end.len() > MAX_ENDS {
            return Err(fault(END, format!("names {} tokens; at most {MAX_ENDS} are read", self.end.len())));
        }
        match self.end.iter().find(|&&token| !known(token)) {
            Some(token) => {
                Err(fault(END, format!("names the token {token}, but there are only {}", self.tokens.len())))
            }
            None => Ok(()),
        }
    }

    fn check_tokens(&self) -> Result<HashMap<&str, u32>, VocabularyFault> {
        if self.tokens.is_empty() {
            return Err(fault(TOKENS, "has no token"));
        }
        check_size(self.tokens.len(), self.tokens.iter().map(|token| token.len()).sum())?;
        let mut numbers = HashMap::with_capacity(self.tokens.len());
        for (&token, number) in self.tokens.iter().zip(0..) {
            if token.is_empty() || token.contains('\0') {
                return Err(fault(
                    TOKENS,
                    format!("has the token {}, which is empty or has a zero byte", short(token)),
                ));
            }
            if numbers.insert(token, number).is_some() {
                return Err(fault(TOKENS, format!("has the token {} twice", short(token))));
            }
        }
        Ok(numbers)
    }

    fn check_kinds(&self) -> Result<(), VocabularyFault> {
        let (kinds, tokens) = (self.kinds.len(), self.tokens.len());
        if kinds != tokens {
            return Err(fault(KINDS_PART, format!("has {kinds} entries for {tokens} tokens")));
        }
        if let Some(at) = self.kinds.iter().position(|kind| !KINDS.contains(kind)) {
            return Err(fault(KINDS_PART, format!("gives token {at} the kind {}; kinds are 1 to 6", self.kinds[at])));
        }
        let whole = self.tokens.iter().zip(self.kinds).filter(|(_, kind)| matches!(**kind, CONTROL | USER_DEFINED));
        let bytes: usize = whole.map(|(token, _)| token.len()).sum();
        if bytes > MAX_WHOLE_BYTES {
            let what =
                format!("has control and user-defined tokens of {bytes} bytes; at most {MAX_WHOLE_BYTES} are read");
            return Err(fault(KINDS_PART, what));
        }
        Ok(())
    }

    fn check_merges(&self, numbers: &HashMap<&str, u32>) -> Result<(), VocabularyFault> {
        check_merge_count(self.merges.len())?;
        let mut joined = String::new();
        let mut bytes = 0;
        for (i, pair) in self.merges.iter().enumerate() {
            let [left, right] = pair.map(|token| self.tokens.get(index(token)));
            let (Some(left), Some(right)) = (left, right) else {
                let [a, b] = pair;
                let what =
                    format!("joins the tokens {a} and {b} (merge {i}), but there are only {}", self.tokens.len());
                return Err(fault(MERGES, what));
            };
            bytes += left.len() + right.len();
            if bytes > MAX_MERGED_BYTES {
                return Err(fault(MERGES, format!("joins to more than {MAX_MERGED_BYTES} bytes in total")));
            }
            joined.clear();
            joined.extend([*left, *right]);
            if !numbers.contains_key(&*joined) {
                let what = format!("joins to {} (merge {i}), which is not a token", short(&joined));
                return Err(fault(MERGES, what));
            }
        }
        Ok(())
    }
}

const TOKENS: &str = "tokenizer.tokens";
const KINDS_PART: &str = "tokenizer.kinds";
const MERGES: &str = "tokenizer.merges";
const BEGIN: &str = "tokenizer.begin";
const END: &str = "tokenizer.end";

/// Checks the number of tokens and the sum of their bytes, before anything is allocated for them.
pub(crate) fn check_size(count: usize, bytes: usize) -> Result<(), VocabularyFault> {
    if count > MAX_TOKENS || bytes > MAX_TOKEN_BYTES {
        let what = format!("has {count} tokens of {bytes} bytes; at most {MAX_TOKENS} of {MAX_TOKEN_BYTES} are read");
        return Err(fault(TOKENS, what));
    }
    Ok(())
}

/// Checks the number of merges, before anything is allocated for them.
pub(crate) fn check_merge_count(count: usize) -> Result<(), VocabularyFault> {
    if count > MAX_MERGES {
        return Err(fault(MERGES, format!("has {count} merges; at most {MAX_MERGES} are read")));
    }
    Ok(())
}

fn fault(part: &'static str, what: impl Into<String>) -> VocabularyFault {
    VocabularyFault { part, what: what.into() }
}

fn index(token: u32) -> usize {
    usize::try_from(token).unwrap_or(usize::MAX)
}

/// Returns a token in quotes, cut if it is long.
fn short(token: &str) -> String {
    let start: String = token.chars().take(40).collect();
    if start.len() < token.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: BytePairs<'_> =
        BytePairs { tokens: &["a", "b", "ab"], kinds: &[1, 1, 1], merges: &[[0, 1]], begin: Some(0), end: &[1, 2] };

    #[test]
    fn rejects_an_inconsistent_vocabulary_and_names_the_part() {
        GOOD.check().unwrap();
        let many = vec![0; MAX_ENDS + 1];
        for (part, what, broken) in [
            ("tokenizer.tokens", "no token", BytePairs { tokens: &[], ..GOOD }),
            ("tokenizer.tokens", "\"a\" twice", BytePairs { tokens: &["a", "b", "a"], ..GOOD }),
            ("tokenizer.tokens", "empty", BytePairs { tokens: &["a", "", "ab"], ..GOOD }),
            ("tokenizer.tokens", "zero byte", BytePairs { tokens: &["a", "b\0", "ab"], ..GOOD }),
            ("tokenizer.kinds", "2 entries for 3 tokens", BytePairs { kinds: &[1, 1], ..GOOD }),
            ("tokenizer.kinds", "token 1 the kind 0", BytePairs { kinds: &[1, 0, 1], ..GOOD }),
            ("tokenizer.kinds", "token 2 the kind 7", BytePairs { kinds: &[1, 1, 7], ..GOOD }),
            ("tokenizer.merges", "tokens 0 and 3", BytePairs { merges: &[[0, 1], [0, 3]], ..GOOD }),
            ("tokenizer.merges", "tokens 4294967295 and 0", BytePairs { merges: &[[u32::MAX, 0]], ..GOOD }),
            ("tokenizer.merges", "\"ba\" (merge 1)", BytePairs { merges: &[[0, 1], [1, 0]], ..GOOD }),
            ("tokenizer.begin", "token 3", BytePairs { begin: Some(3), ..GOOD }),
            ("tokenizer.end", "token 9", BytePairs { end: &[0, 9], ..GOOD }),
            ("tokenizer.end", "1025 tokens", BytePairs { end: &many, ..GOOD }),
        ] {
            let fault = broken.check().unwrap_err();
            assert!(fault.part == part && fault.what.contains(what), "{what}: {fault:?}");
        }
    }

    #[test]
    fn counts_and_lengths_are_bounded() {
        let long = "x".repeat(MAX_WHOLE_BYTES + 1);
        let whole = BytePairs { tokens: &[&long, "b", "ab"], kinds: &[CONTROL, 1, 1], merges: &[], ..GOOD };
        assert!(whole.check().unwrap_err().what.contains("control"));
        // An ordinary token may be that long, but not a thousand merges of such tokens.
        let half = "x".repeat(MAX_WHOLE_BYTES / 2);
        let twice = half.repeat(2);
        let merges = vec![[0, 0]; MAX_MERGED_BYTES / MAX_WHOLE_BYTES + 1];
        let tokens = &[&*half, &*twice];
        let joined = BytePairs { tokens, kinds: &[1, 1], merges: &merges[1..], begin: None, end: &[] };
        joined.check().unwrap();
        let fault = BytePairs { merges: &merges, ..joined }.check().unwrap_err();
        assert!(fault.what.contains("bytes in total"), "{fault:?}");
        for (count, bytes) in [(MAX_TOKENS + 1, 0), (0, MAX_TOKEN_BYTES + 1)] {
            check_size(count, bytes).unwrap_err();
        }
        check_merge_count(MAX_MERGES + 1).unwrap_err();
    }
}
