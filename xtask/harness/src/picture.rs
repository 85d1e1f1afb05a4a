//! Shows an image-like input in the terminal: half-block characters in grey on a colour terminal, shades elsewhere.

/// A grey picture, row by row; 0 is black.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` pixels.
    pub pixels: Vec<u8>,
}

/// Widest picture in columns.
const COLUMNS: usize = 48;

/// Shades from dark to bright.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

impl Picture {
    /// The picture that a tensor of this shape may hold: `[1, height, width, 1 or 3]`, or without the last dimension.
    /// `bytes` are brightness 0 to 255. `None` if it does not look like a picture.
    pub fn from_tensor(dims: &[u32], bytes: &[u8]) -> Option<Self> {
        let dims: Vec<usize> = dims.iter().map(|dim| *dim as usize).collect();
        let (height, width, channels) = match *dims {
            [1, height, width, channels @ (1 | 3)] => (height, width, channels),
            [1, height, width] => (height, width, 1),
            _ => return None,
        };
        // Narrow strips and flat vectors are signals, not pictures.
        if height < 12 || width < 12 || bytes.len() != height * width * channels {
            return None;
        }
        let pixels = bytes
            .chunks_exact(channels)
            .map(|pixel| (pixel.iter().map(|v| u32::from(*v)).sum::<u32>() / channels as u32) as u8)
            .collect();
        Some(Self { width, height, pixels })
    }

    /// Features of sound, frame by frame, as a picture: time from left to right, frequency from low to high.
    pub fn from_frames(frames: usize, bands: usize, features: &[u8]) -> Option<Self> {
        let level = |at: usize| {
            let (frame, band) = (at % frames, bands - 1 - at / frames);
            features.get(frame * bands + band).map(|feature| feature ^ 0x80)
        };
        let pixels = (0..frames * bands).map(level).collect::<Option<_>>()?;
        Some(Self { width: frames, height: bands, pixels })
    }

    /// The picture as text. With `colour`, two rows of pixels in one row of text, in 24 greys.
    pub fn draw(&self, colour: bool) -> String {
        let columns = self.width.min(COLUMNS);
        let rows = (self.height * columns / self.width.max(1)).max(2) / 2;
        let (low, high) = self.range();
        let level = |value: u8, levels: u32| {
            let spread = u32::from(high - low).max(1);
            (u32::from(value.clamp(low, high) - low) * (levels - 1) + spread / 2) / spread
        };
        let mut text = String::new();
        for row in 0..rows {
            for column in 0..columns {
                if colour {
                    let upper = 232 + level(self.mean(column, 2 * row, columns, 2 * rows), 24);
                    let lower = 232 + level(self.mean(column, 2 * row + 1, columns, 2 * rows), 24);
                    text.push_str(&format!("\x1b[38;5;{upper};48;5;{lower}m▀"));
                } else {
                    let shade = level(self.mean(column, row, columns, rows), SHADES.len() as u32);
                    text.push(SHADES.get(shade as usize).copied().unwrap_or(' '));
                }
            }
            if colour {
                text.push_str("\x1b[0m");
            }
            text.push('\n');
        }
        text
    }

    /// Mean brightness of the pixels under cell (`column`, `row`) of a grid of `columns` by `rows`.
    fn mean(&self, column: usize, row: usize, columns: usize, rows: usize) -> u8 {
        let span = |cell: usize, cells: usize, pixels: usize| {
            let start = cell * pixels / cells;
            let end = ((cell + 1) * pixels / cells).max(start + 1);
            start..end.min(pixels)
        };
        let mut sum = 0_u32;
        let mut count = 0_u32;
        for y in span(row, rows, self.height) {
            for x in span(column, columns, self.width) {
                if let Some(pixel) = self.pixels.get(y * self.width + x) {
                    sum += u32::from(*pixel);
                    count += 1;
                }
            }
        }
        sum.checked_div(count).unwrap_or(0) as u8
    }

    /// Darkest and brightest pixel.
    fn range(&self) -> (u8, u8) {
        let low = self.pixels.iter().min().copied().unwrap_or(0);
        let high = self.pixels.iter().max().copied().unwrap_or(255);
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_shapes_are_pictures_and_others_are_not() {
        assert!(Picture::from_tensor(&[1, 28, 28, 1], &[0; 784]).is_some());
        assert!(Picture::from_tensor(&[1, 32, 32, 3], &[0; 3072]).is_some());
        assert!(Picture::from_tensor(&[1, 640], &[0; 640]).is_none());
        assert!(Picture::from_tensor(&[1, 128, 3, 1], &[0; 384]).is_none());
    }

    #[test]
    fn bright_and_dark_halves_are_drawn_where_they_are() {
        let mut pixels = vec![0; 24 * 24];
        for row in pixels.chunks_exact_mut(24) {
            row[12..].fill(200);
        }
        let picture = Picture { width: 24, height: 24, pixels };
        let drawn = picture.draw(false);
        let expected = format!("{}{}\n", " ".repeat(12), "█".repeat(12)).repeat(12);
        assert_eq!(drawn, expected);
        assert!(picture.draw(true).contains("\x1b[38;5;255;48;5;255m▀"));
    }
}
