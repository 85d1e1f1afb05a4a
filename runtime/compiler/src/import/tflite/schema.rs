//! The part of the TensorFlow Lite schema that the importer reads.
//!
//! A table's accessors return what the file holds, or the schema's default. Nothing is read before the verifier has
//! checked it: [`parse`] runs it over every table, vector and string named here, and nothing else is ever followed.
//! Field numbers are those of the public `schema.fbs`; a field's slot in the vtable is 4 + 2 * number.
//!
//! 64-bit numbers may be at any multiple of 4, and are read byte by byte ([`Unaligned64`]). The verifier requires
//! multiples of 8, but older converters, and tools that rewrite files, do not keep to them, and TensorFlow Lite runs
//! such files.

use flatbuffers::{
    Follow, ForwardsUOffset, InvalidFlatbuffer, SimpleToVerifyInSlice, Table, VOffsetT, Vector, Verifiable, Verifier,
    VerifierOptions,
};

type Verified = Result<(), InvalidFlatbuffer>;
type Tables<'a, T> = ForwardsUOffset<Vector<'a, ForwardsUOffset<T>>>;
type Scalars<'a, T> = ForwardsUOffset<Vector<'a, T>>;
type Text<'a> = ForwardsUOffset<&'a str>;

const fn slot(field: u16) -> VOffsetT {
    4 + 2 * field
}

/// A 64-bit number at any address.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Unaligned64([u8; 8]);

impl Unaligned64 {
    const ZERO: Self = Self([0; 8]);

    pub(super) fn signed(self) -> i64 {
        i64::from_le_bytes(self.0)
    }

    pub(super) fn unsigned(self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

impl Follow<'_> for Unaligned64 {
    type Inner = Self;
    unsafe fn follow(buf: &[u8], loc: usize) -> Self {
        // The verifier has found 8 bytes there; the default only avoids a panic.
        Self(buf.get(loc..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default())
    }
}

impl Verifiable for Unaligned64 {
    fn run_verifier(verifier: &mut Verifier<'_, '_>, pos: usize) -> Verified {
        verifier.in_buffer::<Self>(pos)
    }
}

impl SimpleToVerifyInSlice for Unaligned64 {}

/// Declares tables: scalars in brackets, `number name: type = default`; fields that are reached by an offset in braces,
/// `number name: type`.
macro_rules! tables {
    ($( $(#[doc = $doc:literal])+ $name:ident
        [ $( $scalar_id:literal $scalar:ident: $scalar_type:ty = $default:expr; )* ]
        { $( $id:literal $field:ident: $type:ty; )* }
    )+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Copy)]
        // Of some tables only the presence matters.
        #[allow(dead_code)]
        pub(super) struct $name<'a>(Table<'a>);

        impl<'a> Follow<'a> for $name<'a> {
            type Inner = Self;
            unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
                // SAFETY: the caller promises a valid table at `loc`.
                Self(unsafe { Table::new(buf, loc) })
            }
        }

        impl<'a> Verifiable for $name<'a> {
            fn run_verifier(verifier: &mut Verifier<'_, '_>, pos: usize) -> Verified {
                verifier
                    .visit_table(pos)?
                    $( .visit_field::<$scalar_type>(stringify!($scalar), slot($scalar_id), false)? )*
                    $( .visit_field::<$type>(stringify!($field), slot($id), false)? )*
                    .finish();
                Ok(())
            }
        }

        #[allow(dead_code)]
        impl<'a> $name<'a> {
            $(
                pub(super) fn $scalar(&self) -> $scalar_type {
                    // SAFETY: the verifier has found a value of this type in the slot, or nothing.
                    unsafe { self.0.get::<$scalar_type>(slot($scalar_id), None) }.unwrap_or($default)
                }
            )*
            $(
                pub(super) fn $field(&self) -> Option<<$type as Follow<'a>>::Inner> {
                    // SAFETY: the verifier has found a value of this type in the slot, or nothing.
                    unsafe { self.0.get::<$type>(slot($id), None) }
                }
            )*
        }
    )+ };
}

tables! {
    /// The file.
    Model [
        0 version: u32 = 0;
    ] {
        1 operator_codes: Tables<'a, OperatorCode<'a>>;
        2 subgraphs: Tables<'a, SubGraph<'a>>;
        4 buffers: Tables<'a, Buffer<'a>>;
        7 signatures: Tables<'a, SignatureDef<'a>>;
    }
    /// A signature: a graph with names for what it takes and returns.
    SignatureDef [
        4 subgraph: u32 = 0;
    ] {
        0 inputs: Tables<'a, TensorMap<'a>>;
        1 outputs: Tables<'a, TensorMap<'a>>;
        2 key: Text<'a>;
    }
    /// The name that a signature has for a tensor of its graph.
    TensorMap [
        1 tensor: u32 = 0;
    ] {
        0 name: Text<'a>;
    }
    /// The operator that a code of the file refers to.
    OperatorCode [
        0 deprecated_builtin_code: i8 = 0;
        2 version: i32 = 1;
        3 builtin_code: i32 = 0;
    ] {
        1 custom_code: Text<'a>;
    }
    /// A graph.
    SubGraph [] {
        0 tensors: Tables<'a, Tensor<'a>>;
        1 inputs: Scalars<'a, i32>;
        2 outputs: Scalars<'a, i32>;
        3 operators: Tables<'a, Operator<'a>>;
    }
    /// Bytes of a constant, in the table or elsewhere in the file.
    Buffer [
        1 offset: Unaligned64 = Unaligned64::ZERO;
        2 size: Unaligned64 = Unaligned64::ZERO;
    ] {
        0 data: Scalars<'a, u8>;
    }
    /// A tensor.
    Tensor [
        1 element_type: i8 = 0;
        2 buffer: u32 = 0;
        5 is_variable: bool = false;
    ] {
        0 shape: Scalars<'a, i32>;
        3 name: Text<'a>;
        4 quantization: ForwardsUOffset<QuantizationParameters<'a>>;
        6 sparsity: ForwardsUOffset<SparsityParameters<'a>>;
        7 shape_signature: Scalars<'a, i32>;
    }
    /// Scales and zero points.
    QuantizationParameters [
        4 details_type: u8 = 0;
        6 quantized_dimension: i32 = 0;
    ] {
        2 scale: Scalars<'a, f32>;
        3 zero_point: Scalars<'a, Unaligned64>;
    }
    /// How the elements of a sparse tensor are stored.
    SparsityParameters [] {
        0 traversal_order: Scalars<'a, i32>;
        1 block_map: Scalars<'a, i32>;
        2 dim_metadata: Tables<'a, DimensionMetadata<'a>>;
    }
    /// Indices of 32 bits.
    Int32Vector [] {
        0 values: Scalars<'a, i32>;
    }
    /// Indices of 16 bits.
    Uint16Vector [] {
        0 values: Scalars<'a, u16>;
    }
    /// Indices of 8 bits.
    Uint8Vector [] {
        0 values: Scalars<'a, u8>;
    }
}

/// One dimension of a sparse tensor. Its lists of indices are unions: a type code says which table they are.
#[derive(Clone, Copy)]
pub(super) struct DimensionMetadata<'a>(Table<'a>);

const FORMAT: VOffsetT = slot(0);
const DENSE_SIZE: VOffsetT = slot(1);
/// The slots of the type code and of the table of each list.
const SEGMENTS: [VOffsetT; 2] = [slot(2), slot(3)];
const INDICES: [VOffsetT; 2] = [slot(4), slot(5)];

impl<'a> Follow<'a> for DimensionMetadata<'a> {
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
        // SAFETY: the caller promises a valid table at `loc`.
        Self(unsafe { Table::new(buf, loc) })
    }
}

impl Verifiable for DimensionMetadata<'_> {
    fn run_verifier(verifier: &mut Verifier<'_, '_>, pos: usize) -> Verified {
        let list = |code: u8, verifier: &mut Verifier<'_, '_>, pos| match code {
            1 => verifier.verify_union_variant::<ForwardsUOffset<Int32Vector<'_>>>("Int32Vector", pos),
            2 => verifier.verify_union_variant::<ForwardsUOffset<Uint16Vector<'_>>>("Uint16Vector", pos),
            3 => verifier.verify_union_variant::<ForwardsUOffset<Uint8Vector<'_>>>("Uint8Vector", pos),
            // Never read.
            _ => Ok(()),
        };
        let [segments_type, segments] = SEGMENTS;
        let [indices_type, indices] = INDICES;
        verifier
            .visit_table(pos)?
            .visit_field::<i8>("format", FORMAT, false)?
            .visit_field::<i32>("dense_size", DENSE_SIZE, false)?
            .visit_union::<u8, _>("array_segments_type", segments_type, "array_segments", segments, false, list)?
            .visit_union::<u8, _>("array_indices_type", indices_type, "array_indices", indices, false, list)?
            .finish();
        Ok(())
    }
}

impl DimensionMetadata<'_> {
    /// 0: dense; 1: compressed.
    pub(super) fn format(&self) -> i8 {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<i8>(FORMAT, None) }.unwrap_or(0)
    }

    pub(super) fn dense_size(&self) -> i32 {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<i32>(DENSE_SIZE, None) }.unwrap_or(0)
    }

    /// Of a compressed dimension: for each entry of the dimensions before it, where its indices begin; and where the
    /// last end.
    pub(super) fn segments(&self) -> Option<Vec<i64>> {
        self.list(SEGMENTS)
    }

    /// Of a compressed dimension: the indices.
    pub(super) fn indices(&self) -> Option<Vec<i64>> {
        self.list(INDICES)
    }

    fn list(&self, [code, table]: [VOffsetT; 2]) -> Option<Vec<i64>> {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        let code = unsafe { self.0.get::<u8>(code, None) }?;
        // SAFETY: the verifier has walked each union as the table that its type code names.
        unsafe {
            Some(match code {
                1 => self
                    .0
                    .get::<ForwardsUOffset<Int32Vector<'_>>>(table, None)?
                    .values()?
                    .iter()
                    .map(i64::from)
                    .collect(),
                2 => self
                    .0
                    .get::<ForwardsUOffset<Uint16Vector<'_>>>(table, None)?
                    .values()?
                    .iter()
                    .map(i64::from)
                    .collect(),
                3 => self
                    .0
                    .get::<ForwardsUOffset<Uint8Vector<'_>>>(table, None)?
                    .values()?
                    .iter()
                    .map(i64::from)
                    .collect(),
                _ => return None,
            })
        }
    }
}

/// An operator of a graph. Its options are a union: the type code says which table they are.
#[derive(Clone, Copy)]
pub(super) struct Operator<'a>(Table<'a>);

const OPCODE_INDEX: VOffsetT = slot(0);
const INPUTS: VOffsetT = slot(1);
const OUTPUTS: VOffsetT = slot(2);
const OPTIONS_TYPE: VOffsetT = slot(3);
const OPTIONS: VOffsetT = slot(4);
const CUSTOM_OPTIONS: VOffsetT = slot(5);

impl<'a> Follow<'a> for Operator<'a> {
    type Inner = Self;
    unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
        // SAFETY: the caller promises a valid table at `loc`.
        Self(unsafe { Table::new(buf, loc) })
    }
}

impl Verifiable for Operator<'_> {
    fn run_verifier(verifier: &mut Verifier<'_, '_>, pos: usize) -> Verified {
        verifier
            .visit_table(pos)?
            .visit_field::<u32>("opcode_index", OPCODE_INDEX, false)?
            .visit_field::<Scalars<'_, i32>>("inputs", INPUTS, false)?
            .visit_field::<Scalars<'_, i32>>("outputs", OUTPUTS, false)?
            .visit_union::<u8, _>(
                "builtin_options_type",
                OPTIONS_TYPE,
                "builtin_options",
                OPTIONS,
                false,
                verify_options,
            )?
            .visit_field::<Scalars<'_, u8>>("custom_options", CUSTOM_OPTIONS, false)?
            .finish();
        Ok(())
    }
}

impl<'a> Operator<'a> {
    pub(super) fn opcode_index(&self) -> u32 {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<u32>(OPCODE_INDEX, None) }.unwrap_or(0)
    }

    pub(super) fn inputs(&self) -> Option<Vector<'a, i32>> {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<Scalars<'a, i32>>(INPUTS, None) }
    }

    pub(super) fn outputs(&self) -> Option<Vector<'a, i32>> {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<Scalars<'a, i32>>(OUTPUTS, None) }
    }

    /// Returns the options of a custom operator, in a form that it defines itself.
    pub(super) fn custom_options(&self) -> &'a [u8] {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        unsafe { self.0.get::<Scalars<'a, u8>>(CUSTOM_OPTIONS, None) }.map_or(&[], |bytes| bytes.bytes())
    }

    /// Returns the options, if they are a table of type `T`.
    pub(super) fn options<T: Options<'a>>(&self) -> Option<T> {
        // SAFETY: the verifier has found a value of this type in the slot, or nothing.
        let code = unsafe { self.0.get::<u8>(OPTIONS_TYPE, None) }.unwrap_or(0);
        if code != T::CODE {
            return None;
        }
        // SAFETY: the verifier has walked the union as the table that its type code names, and that is `T`.
        unsafe { self.0.get::<ForwardsUOffset<T>>(OPTIONS, None) }
    }
}

/// A table of the options union.
pub(super) trait Options<'a>: Follow<'a, Inner = Self> + 'a {
    /// Its type code in the union.
    const CODE: u8;
}

/// Declares the options tables and the verifier of their union.
macro_rules! options {
    ($( $code:literal $name:ident [ $($scalars:tt)* ] { $($fields:tt)* } )+) => {
        tables! { $( #[doc = "Options of an operator."] $name [ $($scalars)* ] { $($fields)* } )+ }

        $( impl<'a> Options<'a> for $name<'a> { const CODE: u8 = $code; } )+

        fn verify_options(code: u8, verifier: &mut Verifier<'_, '_>, pos: usize) -> Verified {
            match code {
                $( $code => verifier.verify_union_variant::<ForwardsUOffset<$name<'_>>>(stringify!($name), pos), )+
                // Options that are never read need no check.
                _ => Ok(()),
            }
        }
    };
}

options! {
    1 Conv2DOptions [
        0 padding: i8 = 0;
        1 stride_w: i32 = 0;
        2 stride_h: i32 = 0;
        3 activation: i8 = 0;
        4 dilation_w: i32 = 1;
        5 dilation_h: i32 = 1;
        6 quantized_bias_type: i8 = 0;
    ] {}
    2 DepthwiseConv2DOptions [
        0 padding: i8 = 0;
        1 stride_w: i32 = 0;
        2 stride_h: i32 = 0;
        4 activation: i8 = 0;
        5 dilation_w: i32 = 1;
        6 dilation_h: i32 = 1;
    ] {}
    5 Pool2DOptions [
        0 padding: i8 = 0;
        1 stride_w: i32 = 0;
        2 stride_h: i32 = 0;
        3 filter_width: i32 = 0;
        4 filter_height: i32 = 0;
        5 activation: i8 = 0;
    ] {}
    6 SvdfOptions [
        0 rank: i32 = 0;
        1 activation: i8 = 0;
    ] {}
    8 FullyConnectedOptions [
        0 activation: i8 = 0;
        1 weights_format: i8 = 0;
        4 quantized_bias_type: i8 = 0;
    ] {}
    9 SoftmaxOptions [
        0 beta: f32 = 0.0;
    ] {}
    10 ConcatenationOptions [
        0 axis: i32 = 0;
        1 activation: i8 = 0;
    ] {}
    11 AddOptions [
        0 activation: i8 = 0;
    ] {}
    12 L2NormOptions [
        0 activation: i8 = 0;
    ] {}
    15 ResizeBilinearOptions [
        2 align_corners: bool = false;
        3 half_pixel_centers: bool = false;
    ] {}
    17 ReshapeOptions [] {
        0 new_shape: Scalars<'a, i32>;
    }
    19 SpaceToDepthOptions [
        0 block_size: i32 = 0;
    ] {}
    21 MulOptions [
        0 activation: i8 = 0;
    ] {}
    23 GatherOptions [
        0 axis: i32 = 0;
        1 batch_dims: i32 = 0;
    ] {}
    27 ReducerOptions [
        0 keep_dims: bool = false;
    ] {}
    28 SubOptions [
        0 activation: i8 = 0;
    ] {}
    29 DivOptions [
        0 activation: i8 = 0;
    ] {}
    30 SqueezeOptions [] {
        0 squeeze_dims: Scalars<'a, i32>;
    }
    32 StridedSliceOptions [
        0 begin_mask: i32 = 0;
        1 end_mask: i32 = 0;
        2 ellipsis_mask: i32 = 0;
        3 new_axis_mask: i32 = 0;
        4 shrink_axis_mask: i32 = 0;
    ] {}
    49 TransposeConvOptions [
        0 padding: i8 = 0;
        1 stride_w: i32 = 0;
        2 stride_h: i32 = 0;
        3 activation: i8 = 0;
    ] {}
    59 PackOptions [
        0 values_count: i32 = 0;
        1 axis: i32 = 0;
    ] {}
    64 UnpackOptions [
        0 num: i32 = 0;
        1 axis: i32 = 0;
    ] {}
    71 UnidirectionalSequenceLstmOptions [
        0 activation: i8 = 0;
        1 cell_clip: f32 = 0.0;
        3 time_major: bool = false;
    ] {}
    74 ResizeNearestNeighborOptions [
        0 align_corners: bool = false;
        1 half_pixel_centers: bool = false;
    ] {}
    75 LeakyReluOptions [
        0 alpha: f32 = 0.0;
    ] {}
    77 MirrorPadOptions [
        0 mode: i8 = 0;
    ] {}
    92 IfOptions [
        0 then_subgraph_index: i32 = 0;
        1 else_subgraph_index: i32 = 0;
    ] {}
    93 WhileOptions [
        0 cond_subgraph_index: i32 = 0;
        1 body_subgraph_index: i32 = 0;
    ] {}
    94 DepthToSpaceOptions [
        0 block_size: i32 = 0;
    ] {}
    101 BatchMatMulOptions [
        0 adj_x: bool = false;
        1 adj_y: bool = false;
    ] {}
    102 CumsumOptions [
        0 exclusive: bool = false;
        1 reverse: bool = false;
    ] {}
    103 CallOnceOptions [
        0 init_subgraph_index: i32 = 0;
    ] {}
    111 VarHandleOptions [] {
        0 container: Text<'a>;
        1 shared_name: Text<'a>;
    }
    116 GeluOptions [
        0 approximate: bool = false;
    ] {}
}

/// Checks the whole file and returns its root; the error describes what is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<Model<'_>, String> {
    // Tables may be shared, so a walk can visit more bytes than the file holds; but not much more in files that tools
    // write.
    let max_apparent_size = bytes.len().saturating_mul(8).saturating_add(1 << 16);
    let options = VerifierOptions { max_apparent_size, ..Default::default() };
    flatbuffers::root_with_opts::<Model<'_>>(&options, bytes).map_err(|error| in_words(&error, bytes.len()))
}

/// Describes what the verifier found, without its trace through the tables.
fn in_words(error: &InvalidFlatbuffer, len: usize) -> String {
    match error {
        InvalidFlatbuffer::RangeOutOfBounds { range, .. } => {
            format!("bytes {} to {} are needed, but it has {len}; it may be cut off", range.start, range.end)
        }
        InvalidFlatbuffer::SignedOffsetOutOfBounds { position, .. } => {
            format!("the offset at byte {position} leads outside it")
        }
        InvalidFlatbuffer::Unaligned { position, .. } => {
            format!("the number at byte {position} is not aligned to its size")
        }
        InvalidFlatbuffer::Utf8Error { range, .. } => {
            format!("the text at bytes {} to {} is not UTF-8", range.start, range.end)
        }
        InvalidFlatbuffer::MissingNullTerminator { range, .. } => {
            format!("the text at bytes {} to {} has no end", range.start, range.end)
        }
        InvalidFlatbuffer::MissingRequiredField { required, .. } => format!("the field `{required}` is missing"),
        InvalidFlatbuffer::InconsistentUnion { field, field_type, .. } => {
            format!("only one of the fields `{field}` and `{field_type}` is there")
        }
        InvalidFlatbuffer::TooManyTables => "it has more tables than any valid network".into(),
        InvalidFlatbuffer::ApparentSizeTooLarge => "its tables share parts far more than in any valid network".into(),
        InvalidFlatbuffer::DepthLimitReached => "its tables are nested deeper than in any valid network".into(),
    }
}

/// An operator whose options are a table without fields: all have the schema's default.
#[cfg(test)]
pub(super) fn with_default_options(code: u8) -> DefaultOptions {
    let mut b = flatbuffers::FlatBufferBuilder::new();
    let start = b.start_table();
    let options = b.end_table(start);
    let start = b.start_table();
    b.push_slot_always(OPTIONS, options);
    b.push_slot_always(OPTIONS_TYPE, code);
    let operator = b.end_table(start);
    b.finish_minimal(operator);
    DefaultOptions(b.finished_data().to_vec())
}

/// The bytes of an operator.
#[cfg(test)]
pub(super) struct DefaultOptions(Vec<u8>);

#[cfg(test)]
impl DefaultOptions {
    pub(super) fn operator(&self) -> Operator<'_> {
        flatbuffers::root::<Operator<'_>>(&self.0).unwrap()
    }
}
