//! Inputs that the model generates itself: a text that it continues token by token.

use crate::Board;
use crate::input::{Failure, InputSource, next};
use crate::log::emit;
use crate::sampler::Sampler;
use tealight::{Ops, Session};

/// The length of the header at the start of the board's input. Little-endian: the temperature (f32; 0 for the most
/// likely token each time), the seed (u64), and the number of tokens to generate (u32). The tokens of the prompt
/// follow, i32, at least one.
///
/// Every generated token is reported in the log, and the model's scores for each next token are written to the board's
/// output.
const HEADER: usize = 16;

/// A text that is being generated.
pub(crate) struct TextInput {
    embedded: Option<&'static [u8]>,
    under_way: Option<Text>,
}

#[derive(Clone, Copy)]
struct Text {
    sampler: Sampler,
    /// The number of tokens still to be generated.
    left: u32,
    /// Whether a token was read; before that there are no scores to choose from.
    begun: bool,
}

impl TextInput {
    pub(crate) const fn new(embedded: Option<&'static [u8]>) -> Self {
        Self { embedded, under_way: None }
    }

    fn header<B: Board>(&mut self, board: &mut B) -> Result<Text, Failure> {
        let mut bytes = [0; HEADER];
        if next(board, &mut self.embedded, &mut bytes)? != HEADER {
            return Err(Failure::InputTruncated);
        }
        let [t0, t1, t2, t3, seed @ .., c0, c1, c2, c3] = bytes;
        let temperature = f32::from_le_bytes([t0, t1, t2, t3]);
        let sampler = Sampler { temperature, random: u64::from_le_bytes(seed) };
        Ok(Text { sampler, left: u32::from_le_bytes([c0, c1, c2, c3]), begun: false })
    }
}

impl InputSource for TextInput {
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure> {
        let mut text = match self.under_way {
            Some(text) => text,
            None => self.header(board)?,
        };
        let mut bytes = [0; 4];
        let token = match next(board, &mut self.embedded, &mut bytes)? {
            4 => i32::from_le_bytes(bytes),
            0 if text.begun => {
                let Some(left) = text.left.checked_sub(1) else { return Ok(false) };
                text.left = left;
                let token = text.sampler.next(scores(session)?).ok_or(Failure::NoText)?;
                emit!("tealight token={}", token);
                if left == 0 {
                    return Ok(false);
                }
                token.cast_signed()
            }
            0 => return Err(Failure::NoInput),
            _ => return Err(Failure::InputTruncated),
        };
        text.begun = true;
        self.under_way = Some(text);
        let mut input = session.input(0).ok_or(Failure::NoText)?;
        input.copy_from(&[token]).map_err(|_| Failure::NoText)?;
        Ok(true)
    }
}

/// Returns the scores of all tokens.
fn scores<'s, O: Ops>(session: &'s Session<'_, O>) -> Result<&'s [f32], Failure> {
    session.output(0).and_then(|output| output.as_slice()).ok_or(Failure::NoText)
}
