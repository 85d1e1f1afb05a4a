//! Inputs from files of pictures.

use super::picture::shape;
use super::{FrontEnd, does_not_fit};
use crate::error::{Error, Result};
use crate::tensor_file::{Stream, TensorKind, cannot_read};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;
use tealight_format::DType;
use tealight_sensor::Element;
use tealight_sensor::picture::{self, Channels, InputError, Picture};

/// Bytes that the pixels of a picture may take: as many as 16,384 x 4,096 pixels of three channels.
const MAX_BYTES: u64 = 192 << 20;

/// Reads a picture and computes the input from it.
pub(super) fn read(kind: &TensorKind, front_end: Option<&FrontEnd>, path: &Path) -> Result<Stream> {
    let refuse = || does_not_fit(path, kind);
    let shape = shape(kind).ok_or_else(|| {
        refuse().cause("it is a picture").help("pictures are for inputs [1, height, width, 1 or 3] of I8, U8 or F32")
    })?;
    let front_end = match front_end {
        Some(FrontEnd::Picture(front_end)) => *front_end,
        Some(other) => {
            return Err(refuse().cause(format!("the model's front end is `{other}`, which takes no pictures")));
        }
        None => picture::FrontEnd::of_channels(shape[2].into())
            .ok_or_else(|| refuse().cause("it is a picture").help("pictures are for inputs of one channel or three"))?,
    };
    let image = decode(path)?;
    let size = (u16::try_from(image.width()), u16::try_from(image.height()));
    let (Ok(width), Ok(height)) = size else {
        return Err(refuse().cause(format!("it has {} x {} pixels", image.width(), image.height())).help(MAKE_SMALLER));
    };
    let (channels, pixels) = match image.color().has_color() {
        true => (Channels::Rgb, image.into_rgb8().into_raw()),
        false => (Channels::Grey, image.into_luma8().into_raw()),
    };
    let image = Picture::new(width, height, channels, &pixels).map_err(|error| refuse().cause(error))?;
    let data = match kind.dtype {
        DType::I8 => fill::<i8>(&front_end, &image, shape, kind).map(bytes_of_i8),
        DType::U8 => fill::<u8>(&front_end, &image, shape, kind),
        _ => fill::<f32>(&front_end, &image, shape, kind).map(bytes_of_f32),
    };
    data.map(|data| Stream::new(data, kind.len)).map_err(|error| {
        let help = match error {
            InputError::NoNormalization => {
                "say which values the network expects: `--front-end \"picture mean=127.5 std=127.5\"` maps pixels to -1 \
                 to 1, `--front-end \"picture std=255\"` to 0 to 1"
            }
            InputError::Channels { .. } => "say which channels it has: `--front-end \"picture color=grey\"`, rgb or bgr",
            _ => MAKE_SMALLER,
        };
        refuse().cause(error).help(help)
    })
}

const MAKE_SMALLER: &str = "give a smaller picture: its sides may have 16,384 pixels";

fn fill<T: Element + Default>(
    front_end: &picture::FrontEnd,
    image: &Picture<'_>,
    shape: [u16; 3],
    kind: &TensorKind,
) -> std::result::Result<Vec<T>, InputError> {
    let row = usize::from(shape[1]) * usize::from(shape[2]);
    let (mut sums, mut input) = (vec![0; row], vec![T::default(); row * usize::from(shape[0])]);
    front_end.fill(image, shape, kind.quantization, &mut sums, &mut input)?;
    Ok(input)
}

fn bytes_of_i8(codes: Vec<i8>) -> Vec<u8> {
    codes.into_iter().map(i8::cast_unsigned).collect()
}

fn bytes_of_f32(values: Vec<f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// Decodes a picture, turned as its Exif data say.
fn decode(path: &Path) -> Result<DynamicImage> {
    let bytes = std::fs::read(path).map_err(|error| cannot_read(path, error))?;
    let failed = || Error::new(format!("`{}` is no picture that can be read", path.display()));
    let help = "give a PNG, JPEG, BMP, PGM or PPM of 8 or 16 bits a channel";
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| cannot_read(path, error))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| failed().cause(error).help(help))?;
    if decoder.total_bytes() > MAX_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(failed().cause(format!("it has {width} x {height} pixels")).help(MAKE_SMALLER));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| failed().cause(error).help(help))?;
    image.apply_orientation(orientation);
    Ok(image)
}
