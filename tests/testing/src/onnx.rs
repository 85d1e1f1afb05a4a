//! Pieces of ONNX files, written by hand, and where their tensors' elements are in the layout of a compiled model.

/// Builds a field of bytes of a protocol message; its number is below 16.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut len = content.len();
    while len > 0x7f {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    [bytes, content.to_vec()].concat()
}

/// Builds a field of a number below 128.
pub fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// Returns the index in an NCHW tensor of these dimensions of each element, in the order of NHWC.
pub fn nhwc([n, c, h, w]: [usize; 4]) -> impl Iterator<Item = usize> {
    let pixels = (0..n).flat_map(move |n| (0..h * w).map(move |pixel| (n, pixel)));
    pixels.flat_map(move |(n, pixel)| (0..c).map(move |channel| (n * c + channel) * h * w + pixel))
}
