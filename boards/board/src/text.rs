//! Inputs that the model makes itself: a text that it continues token by token.

use crate::Board;
use crate::feed::{Failure, Feed, next};
use crate::log::fact;
use crate::sampler::Sampler;
use tealight::{Ops, Session};

/// What the board's input begins with, little-endian: the temperature (f32; 0 for the likeliest token each time), the seed
/// (u64), and how many tokens to make (u32). The tokens of the prompt follow, i32, at least one.
///
/// Every token that is made is said on the console, and the model's scores for each next token go to the board's output.
const HEADER: usize = 16;

/// A text under way.
pub(crate) struct Continuing {
    embedded: Option<&'static [u8]>,
    under_way: Option<Text>,
}

#[derive(Clone, Copy)]
struct Text {
    sampler: Sampler,
    /// Tokens still to be made.
    left: u32,
    /// Whether a token was read: without one there are no scores to choose by.
    begun: bool,
}

impl Continuing {
    pub(crate) const fn new(embedded: Option<&'static [u8]>) -> Self {
        Self { embedded, under_way: None }
    }

    fn header<B: Board>(&mut self, board: &mut B) -> Result<Text, Failure> {
        let mut bytes = [0; HEADER];
        if next(board, &mut self.embedded, &mut bytes)? != HEADER {
            return Err(Failure::InputCut);
        }
        let [t0, t1, t2, t3, seed @ .., c0, c1, c2, c3] = bytes;
        let temperature = f32::from_le_bytes([t0, t1, t2, t3]);
        let sampler = Sampler { temperature, random: u64::from_le_bytes(seed) };
        Ok(Text { sampler, left: u32::from_le_bytes([c0, c1, c2, c3]), begun: false })
    }
}

impl Feed for Continuing {
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
                fact!("tealight token={}", token);
                if left == 0 {
                    return Ok(false);
                }
                token.cast_signed()
            }
            0 => return Err(Failure::NoInput),
            _ => return Err(Failure::InputCut),
        };
        text.begun = true;
        self.under_way = Some(text);
        let mut input = session.input(0).ok_or(Failure::NoText)?;
        input.copy_from(&[token]).map_err(|_| Failure::NoText)?;
        Ok(true)
    }
}

/// The scores of all tokens.
fn scores<'s, O: Ops>(session: &'s Session<'_, O>) -> Result<&'s [f32], Failure> {
    session.output(0).and_then(|output| output.as_slice()).ok_or(Failure::NoText)
}
