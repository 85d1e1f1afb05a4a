//! How the elements of a block are stored: GGML's types, under Candle's names.

/// Expands `callback! { arguments... rows... }` with one row for each block type. This is the only list of block types:
/// the enum [`BlockType`] and all code with a case for each type are generated from it.
///
/// A row is `Name Struct { columns }`: the variant of [`BlockType`], the name of a block's struct in both
/// `tealight-kernels` and `candle-core`, and the columns for the enum (a `$row:tt` for most callbacks).
///
/// ```
/// macro_rules! names {
///     ($prefix:literal; $( $name:ident $block:ident $row:tt )+) => {
///         [ $( concat!($prefix, stringify!($name)) ),+ ]
///     };
/// }
/// let names = tealight_types::for_each_block!(names! { "a "; });
/// assert_eq!((names.len(), names[0]), (12, "a Q4_0"));
/// ```
#[macro_export]
macro_rules! for_each_block {
    ($callback:ident ! { $($arguments:tt)* }) => {
        $callback! {
            $($arguments)*
            // code, name, GGML's code and name, elements, bytes, type of the activations, cost of a multiply-accumulate
            Q4_0 BlockQ4_0 { 0, "q4_0", 2, "Q4_0", 32, 18, Q8_0, 2, "32 elements in 18 bytes: `d * (w - 8)`." }
            Q4_1 BlockQ4_1 { 1, "q4_1", 3, "Q4_1", 32, 20, Q8_1, 2, "32 elements in 20 bytes: `d * w + m`." }
            Q5_0 BlockQ5_0 { 2, "q5_0", 6, "Q5_0", 32, 22, Q8_0, 4, "32 elements in 22 bytes: `d * (w - 16)`." }
            Q5_1 BlockQ5_1 { 3, "q5_1", 7, "Q5_1", 32, 24, Q8_1, 4, "32 elements in 24 bytes: `d * w + m`." }
            Q8_0 BlockQ8_0 { 4, "q8_0", 8, "Q8_0", 32, 34, Q8_0, 1, "32 elements in 34 bytes: `d * w`; also activations." }
            Q8_1 BlockQ8_1 {
                5, "q8_1", 9, "Q8_1", 32, 36, Q8_1, 1, "32 elements in 36 bytes: `d * w`, with their sum; activations."
            }
            Q2K BlockQ2K { 6, "q2k", 10, "Q2_K", 256, 84, Q8K, 3, "256 elements in 84 bytes: `d * s * w - m * s'`, 2 bits." }
            Q3K BlockQ3K { 7, "q3k", 11, "Q3_K", 256, 110, Q8K, 6, "256 elements in 110 bytes: `d * s * w`, 3 bits." }
            Q4K BlockQ4K {
                8, "q4k", 12, "Q4_K", 256, 144, Q8K, 4, "256 elements in 144 bytes: `d * s * w - m * s'`, 4 bits."
            }
            Q5K BlockQ5K {
                9, "q5k", 13, "Q5_K", 256, 176, Q8K, 6, "256 elements in 176 bytes: `d * s * w - m * s'`, 5 bits."
            }
            Q6K BlockQ6K { 10, "q6k", 14, "Q6_K", 256, 210, Q8K, 6, "256 elements in 210 bytes: `d * s * w`, 6 bits." }
            Q8K BlockQ8K {
                11, "q8k", 15, "Q8_K", 256, 292, Q8K, 1, "256 elements in 292 bytes: `d * w`, with sums of 16; activations."
            }
        }
    };
}

macro_rules! define {
    ($( $name:ident $block:ident {
        $code:literal, $lower:literal, $ggml:literal, $ggml_name:literal, $elements:literal, $bytes:literal,
        $activations:ident, $cost:literal, $doc:literal
    } )+) => {
        /// How the elements of a block are stored: GGML's types, under Candle's names. `w` is an element's integer, `d`
        /// and `m` are the block's factors, `s` a factor of a part of the block.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum BlockType { $( #[doc = $doc] $name = $code, )+ }

        impl BlockType {
            /// All block types, in the order of their codes.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The type with this code in the plan.
            pub const fn from_code(code: i32) -> Option<Self> {
                Some(match code { $( $code => Self::$name, )+ _ => return None })
            }

            /// The type with this code in a GGUF file (`ggml_type` in GGML).
            pub const fn from_ggml(code: u32) -> Option<Self> {
                Some(match code { $( $ggml => Self::$name, )+ _ => return None })
            }

            /// Its name in lower case, as used on the command line.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $lower, )+ }
            }

            /// Its name in GGML.
            pub const fn ggml_name(self) -> &'static str {
                match self { $( Self::$name => $ggml_name, )+ }
            }

            /// The number of elements in a block: 32 or 256.
            pub const fn elements(self) -> u32 {
                match self { $( Self::$name => $elements, )+ }
            }

            /// The number of bytes of a block.
            pub const fn bytes(self) -> u32 {
                match self { $( Self::$name => $bytes, )+ }
            }

            /// The type to which activations are quantized for a product with weights of this type: Candle's
            /// `VecDotType`.
            pub const fn activations(self) -> Self {
                match self { $( Self::$name => Self::$activations, )+ }
            }

            /// The cost of a multiply-accumulate with a weight of this type, in the unit of a plan's costs.
            pub const fn mac_cost(self) -> u32 {
                match self { $( Self::$name => $cost, )+ }
            }
        }
    };
}

for_each_block!(define! {});

impl BlockType {
    /// The number of bytes of a row of `elements`; elements beyond the last whole block are not counted.
    pub const fn row_bytes(self, elements: usize) -> usize {
        (elements / self.elements() as usize).wrapping_mul(self.bytes() as usize)
    }

    /// The number of elements in a row of `bytes`; bytes beyond the last whole block are not counted.
    pub const fn row_len(self, bytes: usize) -> usize {
        (bytes / self.bytes() as usize).wrapping_mul(self.elements() as usize)
    }
}
