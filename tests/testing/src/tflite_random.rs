//! Nearly valid TensorFlow Lite files of all operators that the importer knows, chosen by bytes.
//!
//! A network is built step by step: each operator finds operands that suit it, makes the constants that it needs, and
//! has the output that its rule gives. Then, in some files, a few things are changed: types, shapes, quantization,
//! attributes, buffers, indices. So most files are taken, and those that are refused are wrong in one place.

use crate::random::Choices;
use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

const F32: i8 = 0;
const F16: i8 = 1;
const I32: i8 = 2;
const U8: i8 = 3;
const I64: i8 = 4;
const BOOL: i8 = 6;
const I16: i8 = 7;
const I8: i8 = 9;
const RESOURCE: i8 = 13;

/// The operators of the importer, by TensorFlow Lite's codes. `CALL_ONCE` and the operators of variables come together.
pub const CODES: [i32; 82] = [
    0, 1, 2, 3, 4, 6, 9, 14, 17, 18, 19, 20, 21, 22, 25, 27, 28, 34, 36, 39, 40, 41, 42, 43, 45, 47, 49, 53, 55, 57,
    59, 60, 65, 66, 67, 70, 73, 75, 76, 77, 81, 83, 88, 90, 92, 94, 97, 98, 101, 102, 108, 111, 114, 117, VARIABLES,
    150, 54, 32, 5, 11, 23, 26, 74, 82, 89, 99, 106, 8, 48, 56, 79, 95, 104, 116, 128, 158, 12, 69, 100, 105, 107, 130,
];
const VARIABLES: i32 = 142;

/// Those of `CODES` that the compiler has in float32 only, and those that it does not have.
const FLOAT_ONLY: [i32; 10] = [11, 12, 42, 67, 74, 90, 95, 99, 106, 128];
pub const UNKNOWN: [i32; 2] = [32, 54];

/// A field of an options table.
#[derive(Clone, Debug)]
pub enum Field {
    Byte(i8),
    Bool(bool),
    Int(i32),
    Float(f32),
    Ints(Vec<i32>),
    Text(String),
}

#[derive(Clone, Debug, Default)]
pub struct Tensor {
    pub kind: i8,
    pub shape: Vec<i32>,
    pub signature: Option<Vec<i32>>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
    pub bytes: Option<Vec<u8>>,
    /// Whether the bytes lie behind the tables.
    pub outside: bool,
    pub variable: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    pub code: i32,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// Type code of the union, and the numbered fields.
    pub options: Option<(u8, Vec<(u16, Field)>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub tensors: Vec<Tensor>,
    pub nodes: Vec<Node>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

/// A random file, and the code of the operator that it was made for.
pub fn file(choose: &mut Choices<'_>) -> (Vec<u8>, i32) {
    let code = choose.pick(&CODES);
    let kind = if FLOAT_ONLY.contains(&code) { F32 } else { choose.pick(&[I8, I8, F32]) };
    (bytes(&network(choose, kind, code)), code)
}

/// A random file whose network is float32, small and as a tool writes it.
pub fn float_file(choose: &mut Choices<'_>) -> Vec<u8> {
    let code = choose.pick(&CODES);
    bytes(&network(choose, F32, code))
}

/// A network of activations of type `kind`, with an operator `code`.
fn network(choose: &mut Choices<'_>, kind: i8, code: i32) -> Vec<Graph> {
    let mut build = Build { choose, kind, graph: Graph::default(), ready: Vec::new(), initial: None };
    build.step(code);
    for _ in 0..build.choose.below(4) {
        let code = build.choose.pick(&CODES);
        // One that cannot be compiled hides what is wrong with the others.
        let fits = !UNKNOWN.contains(&code) && (kind == F32 || !FLOAT_ONLY.contains(&code));
        if fits || build.choose.one_in(16) {
            build.step(code);
        }
    }
    build.finish();
    let mut graphs = vec![build.graph];
    graphs.extend(build.initial);
    if choose.one_in(3) {
        for _ in 0..choose.between(1, 3) {
            let which = choose.below(graphs.len() as u32) as usize;
            change(choose, &mut graphs[which]);
        }
    }
    graphs
}

/// A network in the making.
struct Build<'c, 'b> {
    choose: &'c mut Choices<'b>,
    /// The type of its activations.
    kind: i8,
    graph: Graph,
    /// Tensors that may be read.
    ready: Vec<usize>,
    /// The graph that fills variables.
    initial: Option<Graph>,
}

fn size(kind: i8) -> usize {
    match kind {
        F32 | I32 => 4,
        F16 | I16 => 2,
        I64 => 8,
        RESOURCE => 0,
        _ => 1,
    }
}

fn elements(shape: &[i32]) -> usize {
    shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product()
}

impl Build<'_, '_> {
    fn shape(&self, id: usize) -> Vec<i32> {
        self.graph.tensors[id].shape.clone()
    }

    fn dims(&mut self, rank: u32) -> Vec<i32> {
        (0..rank).map(|_| self.choose.between(1, 5)).collect()
    }

    /// A tensor for a node to write.
    fn tensor(&mut self, kind: i8, shape: &[i32]) -> usize {
        let mut tensor = Tensor { kind, shape: shape.to_vec(), ..Tensor::default() };
        if matches!(kind, I8 | U8 | I16) {
            tensor.scales = vec![self.choose.pick(&[0.05, 0.5, 1.0, 0.007, 0.003_906_25])];
            let zero_point = match kind {
                I8 => self.choose.between(-128, 127),
                U8 => self.choose.between(0, 255),
                _ => 0,
            };
            tensor.zero_points = vec![zero_point.into()];
        }
        self.graph.tensors.push(tensor);
        self.graph.tensors.len() - 1
    }

    /// One of the same type, mostly with the same quantization too.
    fn like(&mut self, id: usize, shape: &[i32]) -> usize {
        let Tensor { kind, scales, zero_points, .. } = self.graph.tensors[id].clone();
        let new = self.tensor(kind, shape);
        if !self.choose.one_in(16) {
            (self.graph.tensors[new].scales, self.graph.tensors[new].zero_points) = (scales, zero_points);
        }
        new
    }

    fn constant(&mut self, kind: i8, shape: &[i32]) -> usize {
        let id = self.tensor(kind, shape);
        let len = elements(shape);
        let bytes = match kind {
            F32 => (0..len).flat_map(|_| ((f32::from(self.choose.byte()) - 128.0) / 64.0).to_le_bytes()).collect(),
            I32 => (0..len).flat_map(|_| self.choose.between(-9, 9).to_le_bytes()).collect(),
            _ => self.choose.bytes(len * size(kind)),
        };
        self.graph.tensors[id].bytes = Some(bytes);
        self.graph.tensors[id].outside = self.choose.one_in(16);
        id
    }

    fn ints(&mut self, values: &[i32]) -> usize {
        let wide = self.choose.one_in(8);
        let bytes = values.iter().flat_map(|&value| match wide {
            true => i64::from(value).to_le_bytes().to_vec(),
            false => value.to_le_bytes().to_vec(),
        });
        let tensor = Tensor {
            kind: if wide { I64 } else { I32 },
            shape: vec![values.len() as i32],
            bytes: Some(bytes.collect()),
            ..Tensor::default()
        };
        self.graph.tensors.push(tensor);
        self.graph.tensors.len() - 1
    }

    /// A tensor that suits, if there is one and the choice falls on it; else a new input, or a constant.
    fn operand(&mut self, kind: i8, fits: impl Fn(&[i32]) -> bool, shape: &[i32]) -> usize {
        let suits = |&&id: &&usize| self.graph.tensors[id].kind == kind && fits(&self.graph.tensors[id].shape);
        let found: Vec<usize> = self.ready.iter().filter(suits).copied().collect();
        if !found.is_empty() && !self.choose.one_in(4) {
            let back = self.choose.below(found.len().min(3) as u32) as usize;
            return found[found.len() - 1 - back];
        }
        if self.choose.one_in(6) {
            return self.constant(kind, shape);
        }
        let id = self.tensor(kind, shape);
        self.graph.inputs.push(id as i32);
        self.ready.push(id);
        id
    }

    fn any(&mut self) -> usize {
        let rank = self.choose.between(1, 4) as u32;
        let shape = self.dims(rank);
        self.operand(self.kind, |_| true, &shape)
    }

    fn image(&mut self) -> usize {
        let mut shape = vec![self.choose.pick(&[1, 1, 1, 2])];
        shape.extend(self.dims(3));
        self.operand(self.kind, |shape| shape.len() == 4, &shape)
    }

    fn node(&mut self, code: i32, inputs: &[usize], output: usize, options: Option<(u8, Vec<(u16, Field)>)>) {
        self.node_of(code, inputs.iter().map(|&id| id as i32).collect(), &[output], options);
    }

    fn node_of(&mut self, code: i32, inputs: Vec<i32>, outputs: &[usize], options: Option<(u8, Vec<(u16, Field)>)>) {
        self.ready.extend(outputs);
        let outputs = outputs.iter().map(|&id| id as i32).collect();
        self.graph.nodes.push(Node { code, inputs, outputs, options });
    }

    fn activation(&mut self) -> Field {
        Field::Byte(self.choose.pick(&[0, 0, 1, 3, 2]))
    }

    fn axis(&mut self, rank: usize) -> usize {
        self.choose.below(rank.max(1) as u32) as usize
    }

    /// The same axis, counted from the end in some cases.
    fn signed(&mut self, axis: usize, rank: usize) -> i32 {
        if self.choose.one_in(3) { axis as i32 - rank as i32 } else { axis as i32 }
    }

    /// Elements that are repeated, or reversed.
    fn repeated(&mut self, code: i32) {
        let x = self.any();
        let from = self.shape(x);
        let (mut to, mut list, mut options) = (from.clone(), Vec::new(), None);
        match code {
            69 => {
                for dim in &mut to {
                    list.push(self.choose.between(1, 3));
                    *dim *= list[list.len() - 1];
                }
            }
            100 => {
                let symmetric = self.choose.one_in(2);
                for dim in &mut to {
                    let most = (*dim - i32::from(!symmetric)).max(0);
                    list.extend([self.choose.between(0, most), self.choose.between(0, most)]);
                    *dim += list[list.len() - 2] + list[list.len() - 1];
                }
                options = Some((77, vec![(0, Field::Byte(symmetric.into()))]));
            }
            105 => {
                let mask = self.choose.below(1 << from.len());
                for axis in (0..from.len()).filter(|axis| mask >> axis & 1 == 1) {
                    list.push(self.signed(axis, from.len()));
                }
            }
            _ => {
                for dim in to.iter_mut().filter(|dim| **dim == 1) {
                    *dim = self.choose.between(1, 4);
                }
                if self.choose.one_in(3) {
                    to.insert(0, self.choose.between(1, 3));
                }
                list.clone_from(&to);
            }
        }
        let list_id = self.ints(&list);
        if code == 100 {
            self.graph.tensors[list_id].shape = vec![from.len() as i32, 2];
        }
        let y = self.like(x, &to);
        self.node(code, &[x, list_id], y, options);
    }

    /// Along one axis of a window: its size, stride, dilation, and the output's size with padding `same` or without.
    fn window(&mut self, input: i32, same: bool, dilated: bool) -> [i32; 4] {
        let size = self.choose.between(1, input.clamp(1, 4));
        let stride = self.choose.between(1, 3);
        let dilation = if dilated && size > 1 && input >= size * 2 { self.choose.between(1, 2) } else { 1 };
        let extent = (size - 1) * dilation + 1;
        let output = if same { (input + stride - 1) / stride } else { ((input - extent) / stride + 1).max(1) };
        [size, stride, dilation, output]
    }

    /// Constant weights of a layer with `outputs` channels along `axis`, and a bias, if any, that fits them.
    fn weights(&mut self, input: usize, shape: &[i32], axis: i32) -> (usize, i32) {
        let outputs = shape[axis as usize];
        let float = self.graph.tensors[input].kind == F32;
        // Float layers may have int8 weights too.
        let codes = !float || self.choose.one_in(4);
        let weights = self.constant(if codes { I8 } else { F32 }, shape);
        let (kind, bias_shape) = if float { (F32, [outputs]) } else { (I32, [outputs]) };
        if codes {
            let scales = if self.choose.one_in(2) { outputs } else { 1 };
            let scales: Vec<f32> = (0..scales).map(|_| self.choose.pick(&[0.02, 0.5, 0.001])).collect();
            let tensor = &mut self.graph.tensors[weights];
            (tensor.zero_points, tensor.scales, tensor.axis) = (vec![0; scales.len()], scales, axis);
        }
        if self.choose.one_in(3) {
            return (weights, -1);
        }
        let bias = self.constant(kind, &bias_shape);
        if !float {
            let scale = self.graph.tensors[input].scales.first().copied().unwrap_or(1.0);
            let scales: Vec<f32> = self.graph.tensors[weights].scales.iter().map(|of| of * scale).collect();
            let tensor = &mut self.graph.tensors[bias];
            (tensor.zero_points, tensor.scales) = (vec![0; scales.len()], scales);
        }
        (weights, bias as i32)
    }

    /// Adds an operator with its operands.
    fn step(&mut self, code: i32) {
        match code {
            0 | 18 | 41 | 42 | 55 | 57 | 90 | 95 | 99 => self.binary(code),
            5 | 26 => self.squares(code),
            1 | 12 | 17 => self.pool(code),
            2 | 83 => self.joined(code),
            3 | 4 => self.convolution(code),
            9 => self.fully_connected(),
            27 => self.svdf(),
            34 | 60 => self.pad(code),
            22 | 43 | 70 => self.reshape(code),
            36 | 53 | 77 | 81 | 94 => self.of_shapes(code),
            39 => {
                let x = self.any();
                let shape = self.shape(x);
                let mut order: Vec<usize> = (0..shape.len()).collect();
                for i in (1..order.len()).rev() {
                    let with = self.choose.below(i as u32 + 1) as usize;
                    order.swap(i, with);
                }
                let words: Vec<i32> = order.iter().map(|&from| from as i32).collect();
                let to: Vec<i32> = order.iter().map(|&from| shape[from]).collect();
                let (order, y) = (self.ints(&words), self.like(x, &to));
                self.node(code, &[x, order], y, None);
            }
            40 | 74 | 82 | 89 => {
                let x = self.any();
                let shape = self.shape(x);
                let mask = self.choose.below(1 << shape.len());
                let keep = self.choose.one_in(2);
                let reduced = |i: &usize| mask >> i & 1 == 1;
                let axes: Vec<usize> = (0..shape.len()).filter(reduced).collect();
                let to = shape.iter().enumerate().filter(|(i, _)| keep || !reduced(i));
                let to: Vec<i32> = to.map(|(i, &dim)| if reduced(&i) { 1 } else { dim }).collect();
                let axes: Vec<i32> = axes.into_iter().map(|axis| self.signed(axis, shape.len())).collect();
                let (axes, y) = (self.ints(&axes), self.tensor(self.kind, &to));
                self.node(code, &[x, axes], y, Some((27, vec![(0, Field::Bool(keep))])));
            }
            69 | 100 | 105 | 130 => self.repeated(code),
            107 => {
                let x = self.any();
                let from = self.shape(x);
                let (depth, count) = (1 + self.axis(from.len()), self.choose.between(1, 4));
                let row = |choose: &mut Choices<'_>| {
                    from.iter().take(depth).map(|&dim| choose.between(0, dim.max(1) - 1)).collect()
                };
                let rows: Vec<Vec<i32>> = (0..count).map(|_| row(&mut *self.choose)).collect();
                let at = self.ints(&rows.concat());
                self.graph.tensors[at].shape = vec![count, depth as i32];
                let y = self.like(x, &[&[count], &from[depth.min(from.len())..]].concat());
                self.node(code, &[x, at], y, None);
            }
            56 | 79 => {
                let x = self.any();
                let mut to = self.shape(x);
                let (rank, axis) = (to.len(), self.axis(to.len()));
                if rank > 0 {
                    to.remove(axis);
                }
                let axis = self.signed(axis, rank);
                let kind = self.choose.pick(&[I32, I32, I64]);
                let (axis, y) = (self.ints(&[axis]), self.tensor(kind, &to));
                self.node(code, &[x, axis], y, None);
            }
            48 => {
                let x = self.any();
                let mut to = self.shape(x);
                let last = to.last_mut().map(|last| {
                    *last = self.choose.between(1, (*last).max(1));
                    *last
                });
                let k = self.ints(&[last.unwrap_or(1)]);
                let (values, indices) = (self.like(x, &to), self.tensor(I32, &to));
                self.node_of(code, vec![x as i32, k as i32], &[values, indices], None);
            }
            128 => {
                let x = self.any();
                let shape = self.shape(x);
                let axis = self.axis(shape.len());
                let axis = self.signed(axis, shape.len());
                let (axis, y) = (self.ints(&[axis]), self.tensor(self.kind, &shape));
                let flags = [0, 1].map(|field| (field, Field::Bool(self.choose.one_in(2))));
                self.node(code, &[x, axis], y, Some((102, flags.to_vec())));
            }
            45 | 49 | 65 | 88 | 102 => self.cut(code),
            6 | 114 => {
                let from =
                    if code == 6 { self.choose.pick(&[I8, U8, F16, I16]) } else { self.choose.pick(&[F32, I8, U8]) };
                let rank = self.choose.between(1, 4) as u32;
                let shape = self.dims(rank);
                let x = if from == F16 { self.constant(F16, &shape) } else { self.operand(from, |_| true, &shape) };
                let shape = self.shape(x);
                let to = if code == 6 { F32 } else { self.choose.pick(&[I8, I8, U8]) };
                let y = self.tensor(to, &shape);
                self.node(code, &[x], y, None);
            }
            67 => self.transposed_convolution(),
            23 | 97 => {
                let x = self.image();
                let from = self.shape(x);
                let size = self.dims(2);
                let y = self.like(x, &[from[0], size[0], size[1], from[3]]);
                let size = self.ints(&size);
                let (corners, centers) = (self.choose.one_in(3), self.choose.one_in(3));
                let (union, first) = if code == 23 { (15, 2) } else { (74, 0) };
                let options = vec![(first, Field::Bool(corners)), (first + 1, Field::Bool(centers))];
                self.node(code, &[x, size], y, Some((union, options)));
            }
            106 => {
                let x = self.any();
                let shape = self.shape(x);
                let other = self.operand(self.kind, |other| other == shape, &shape);
                let (count, y) = (self.choose.between(1, 3) as usize, self.tensor(self.kind, &shape));
                self.node(code, &[x, other, x][..count], y, None);
            }
            VARIABLES => self.variables(),
            _ => self.unary(code),
        }
    }

    fn unary(&mut self, code: i32) {
        let x = self.any();
        let shape = self.shape(x);
        let y = if matches!(code, 20 | 21) { self.like(x, &shape) } else { self.tensor(self.kind, &shape) };
        let fixed = match code {
            14 | 25 => Some((1.0 / 256.0, -128)),
            28 => Some((1.0 / 128.0, 0)),
            _ => None,
        };
        if let (Some((scale, zero_point)), true) = (fixed, self.kind == I8) {
            let tensor = &mut self.graph.tensors[y];
            (tensor.scales, tensor.zero_points) = (vec![scale], vec![zero_point]);
        }
        let options = match code {
            11 => Some((12, vec![(0, self.activation())])),
            25 => Some((9, vec![(0, Field::Float(self.choose.pick(&[1.0, 0.1, 20.0])))])),
            98 => Some((75, vec![(0, Field::Float(self.choose.pick(&[0.1, 0.0, -2.0])))])),
            150 => Some((116, vec![(0, Field::Bool(self.choose.one_in(2)))])),
            _ => None,
        };
        self.node(code, &[x], y, options);
    }

    fn binary(&mut self, code: i32) {
        let integers = self.choose.one_in(if code == 90 { 2 } else { 8 });
        let kind = if integers { I32 } else { self.kind };
        let rank = self.choose.between(1, 4) as u32;
        let shape = self.dims(rank);
        let a = if integers { self.constant(kind, &shape) } else { self.operand(kind, |_| true, &shape) };
        let shape = self.shape(a);
        let other = match self.choose.below(4) {
            0 => vec![],
            1 => shape[shape.len().saturating_sub(1)..].to_vec(),
            _ => shape.clone(),
        };
        let same = other.clone();
        let b = if integers { self.constant(kind, &other) } else { self.operand(kind, |shape| shape == same, &other) };
        let y = self.tensor(kind, &shape);
        let union = match code {
            0 => Some(11),
            18 => Some(21),
            41 => Some(28),
            42 => Some(29),
            _ => None,
        };
        let options = union.map(|union| (union, vec![(0, self.activation())]));
        let pair = if self.choose.one_in(4) { [b, a] } else { [a, b] };
        self.node(code, &pair, y, options);
    }

    /// DEPTH_TO_SPACE and SPACE_TO_DEPTH.
    fn squares(&mut self, code: i32) {
        let x = self.image();
        let from = self.shape(x);
        let fits = |block: i32| match code {
            5 => from[3] % (block * block) == 0,
            _ => from[1] % block == 0 && from[2] % block == 0,
        };
        let block = [3, 2].into_iter().find(|&block| fits(block)).unwrap_or(1);
        let square = block * block;
        let to = match code {
            5 => [from[0], from[1] * block, from[2] * block, from[3] / square],
            _ => [from[0], from[1] / block, from[2] / block, from[3] * square],
        };
        let y = self.like(x, &to);
        let union = if code == 5 { 94 } else { 19 };
        self.node(code, &[x], y, Some((union, vec![(0, Field::Int(block))])));
    }

    fn pool(&mut self, code: i32) {
        let x = self.image();
        let from = self.shape(x);
        let same = self.choose.one_in(2);
        let [height, stride_h, _, rows] = self.window(from[1], same, false);
        let [width, stride_w, _, columns] = self.window(from[2], same, false);
        let y = self.like(x, &[from[0], rows, columns, from[3]]);
        let options = vec![
            (0, Field::Byte(i8::from(!same))),
            (1, Field::Int(stride_w)),
            (2, Field::Int(stride_h)),
            (3, Field::Int(width)),
            (4, Field::Int(height)),
            (5, self.activation()),
        ];
        self.node(code, &[x], y, Some((5, options)));
    }

    /// CONCATENATION and PACK.
    fn joined(&mut self, code: i32) {
        let first = self.any();
        let shape = self.shape(first);
        let pack = code == 83;
        if shape.is_empty() && !pack {
            return;
        }
        let rank = shape.len() + usize::from(pack);
        let axis = self.axis(rank);
        let max = if self.choose.one_in(8) { 12 } else { 4 };
        let count = self.choose.between(1, max);
        let mut inputs = vec![first];
        let mut total = shape.get(axis).copied().unwrap_or(0);
        for _ in 1..count {
            let mut other = shape.clone();
            if !pack {
                other[axis] = self.choose.between(1, 3);
                total += other[axis];
            }
            let same = other.clone();
            let id = self.operand(self.kind, |shape| shape == same, &other);
            if !self.choose.one_in(16) && !self.ready[..self.ready.len().saturating_sub(1)].contains(&id) {
                let Tensor { scales, zero_points, .. } = self.graph.tensors[first].clone();
                (self.graph.tensors[id].scales, self.graph.tensors[id].zero_points) = (scales, zero_points);
            }
            inputs.push(id);
        }
        let mut to = shape.clone();
        if pack {
            to.insert(axis, count);
        } else {
            to[axis] = total;
        }
        let y = self.like(first, &to);
        let axis = Field::Int(self.signed(axis, rank));
        let options = if pack {
            (59, vec![(0, Field::Int(count)), (1, axis)])
        } else {
            (10, vec![(0, axis), (1, Field::Byte(0))])
        };
        self.node(code, &inputs, y, Some(options));
    }

    fn convolution(&mut self, code: i32) {
        let x = self.image();
        let from = self.shape(x);
        let depthwise = code == 4;
        let same = self.choose.one_in(2);
        let [height, stride_h, dilation_h, rows] = self.window(from[1], same, true);
        let [width, stride_w, dilation_w, columns] = self.window(from[2], same, true);
        let channels = from[3];
        let (outputs, shape) = if depthwise {
            let outputs = channels * self.choose.between(1, 2);
            (outputs, [1, height, width, outputs])
        } else if channels % 2 == 0 && self.choose.one_in(4) {
            let outputs = 2 * self.choose.between(1, 2);
            (outputs, [outputs, height, width, channels / 2])
        } else {
            let outputs = self.choose.between(1, 5);
            (outputs, [outputs, height, width, channels])
        };
        let (weights, bias) = self.weights(x, &shape, if depthwise { 3 } else { 0 });
        let y = self.tensor(self.kind, &[from[0], rows, columns, outputs]);
        let after = u16::from(depthwise);
        let mut options = vec![
            (0, Field::Byte(i8::from(!same))),
            (1, Field::Int(stride_w)),
            (2, Field::Int(stride_h)),
            (3 + after, self.activation()),
            (4 + after, Field::Int(dilation_w)),
            (5 + after, Field::Int(dilation_h)),
        ];
        if depthwise {
            options.push((3, Field::Int(outputs / channels.max(1))));
        }
        let union = if depthwise { 2 } else { 1 };
        self.node_of(code, vec![x as i32, weights as i32, bias], &[y], Some((union, options)));
    }

    fn fully_connected(&mut self) {
        let x = self.any();
        let from = self.shape(x);
        let depth = if self.choose.one_in(4) { elements(&from) as i32 } else { from.last().copied().unwrap_or(1) };
        let outputs = self.choose.pick(&[1, 2, 3, 5, 32]);
        let (weights, bias) = self.weights(x, &[outputs, depth.max(1)], 0);
        let batches = elements(&from) as i32 / depth.max(1);
        let y = self.tensor(self.kind, &[batches, outputs]);
        let options = Some((8, vec![(0, self.activation())]));
        self.node_of(9, vec![x as i32, weights as i32, bias], &[y], options);
    }

    fn transposed_convolution(&mut self) {
        let x = self.image();
        let from = self.shape(x);
        let same = self.choose.one_in(2);
        let (kernel, stride) =
            ([self.choose.between(1, 3), self.choose.between(1, 3)], [1, 2].map(|_| self.choose.between(1, 2)));
        let outputs = self.choose.between(1, 4);
        let side = |i: usize| if same { from[1 + i] * stride[i] } else { (from[1 + i] - 1) * stride[i] + kernel[i] };
        let to = [from[0], side(0), side(1), outputs];
        let (weights, bias) = self.weights(x, &[outputs, kernel[0], kernel[1], from[3]], 0);
        let (shape, y) = (self.ints(&to), self.tensor(self.kind, &to));
        let options = vec![
            (0, Field::Byte(i8::from(!same))),
            (1, Field::Int(stride[1])),
            (2, Field::Int(stride[0])),
            (3, self.activation()),
        ];
        self.node_of(67, vec![shape as i32, weights as i32, x as i32, bias], &[y], Some((49, options)));
    }

    fn svdf(&mut self) {
        let dims = self.dims(2);
        let x = self.operand(self.kind, |shape| shape.len() == 2, &dims);
        let from = self.shape(x);
        let (rank, units, memory) = (self.choose.between(1, 2), self.choose.between(1, 4), self.choose.between(1, 4));
        let filters = rank * units;
        let kind = if self.kind == F32 { F32 } else { self.choose.pick(&[I16, I8]) };
        let feature = self.constant(self.kind, &[filters, from[1]]);
        let time = self.constant(kind, &[filters, memory]);
        for weights in [feature, time] {
            self.graph.tensors[weights].zero_points.fill(0);
        }
        let bias = if self.choose.one_in(2) { -1 } else { self.constant(I32, &[units]) as i32 };
        let state = self.tensor(kind, &[from[0], filters * memory]);
        self.graph.tensors[state].variable = true;
        self.graph.tensors[state].zero_points.fill(0);
        let y = self.tensor(self.kind, &[from[0], units]);
        let options = vec![(0, Field::Int(rank)), (1, self.activation())];
        let inputs = vec![x as i32, feature as i32, time as i32, bias, state as i32];
        self.node_of(27, inputs, &[y], Some((6, options)));
    }

    fn pad(&mut self, code: i32) {
        let x = self.any();
        let from = self.shape(x);
        let (mut words, mut to) = (Vec::new(), Vec::new());
        for &dim in &from {
            let pair = [self.choose.between(0, 2), self.choose.between(0, 2)];
            to.push(dim + pair[0] + pair[1]);
            words.extend(pair);
        }
        let pads = self.ints(&words);
        self.graph.tensors[pads].shape = vec![from.len() as i32, 2];
        let y = self.like(x, &to);
        let mut inputs = vec![x, pads];
        if code == 60 {
            let value = self.constant(self.kind, &[1]);
            let Tensor { scales, zero_points, .. } = self.graph.tensors[x].clone();
            (self.graph.tensors[value].scales, self.graph.tensors[value].zero_points) = (scales, zero_points);
            inputs.push(value);
        }
        self.node(code, &inputs, y, None);
    }

    /// RESHAPE, SQUEEZE and EXPAND_DIMS.
    fn reshape(&mut self, code: i32) {
        let x = self.any();
        let from = self.shape(x);
        match code {
            22 => {
                let len = elements(&from) as i32;
                let to = match self.choose.below(3) {
                    0 => vec![len],
                    1 => vec![1, len, 1],
                    _ => from.iter().rev().copied().collect(),
                };
                let y = self.like(x, &to);
                let mut asked = to.clone();
                if let Some(first) = asked.first_mut().filter(|_| self.choose.one_in(3)) {
                    *first = -1;
                }
                let by_input = self.choose.one_in(2);
                let options = (!by_input).then(|| (17, vec![(0, Field::Ints(asked.clone()))]));
                let mut inputs = vec![x];
                if by_input {
                    inputs.push(self.ints(&asked));
                }
                self.node(code, &inputs, y, options);
            }
            43 => {
                let ones: Vec<usize> = (0..from.len()).filter(|&i| from[i] == 1).collect();
                let all = self.choose.one_in(2);
                let gone: Vec<usize> = if all { ones } else { ones.into_iter().take(1).collect() };
                let to: Vec<i32> = (0..from.len()).filter(|i| !gone.contains(i)).map(|i| from[i]).collect();
                let axes: Vec<i32> = gone.into_iter().map(|axis| self.signed(axis, from.len())).collect();
                let y = self.like(x, &to);
                self.node(code, &[x], y, Some((30, vec![(0, Field::Ints(axes))])));
            }
            _ => {
                let axis = self.axis(from.len() + 1);
                let mut to = from.clone();
                to.insert(axis, 1);
                let axis = self.signed(axis, to.len());
                let (axis, y) = (self.ints(&[axis]), self.like(x, &to));
                self.node(code, &[x, axis], y, None);
            }
        }
    }

    /// What is computed of shapes and constants: GATHER, CAST, SHAPE, REDUCE_PROD and FILL.
    fn of_shapes(&mut self, code: i32) {
        match code {
            77 => {
                let x = self.any();
                let rank = self.shape(x).len() as i32;
                let y = self.tensor(I32, &[rank]);
                self.node(code, &[x], y, None);
            }
            36 => {
                let rank = self.choose.between(1, 3) as u32;
                let shape = self.dims(rank);
                let x = if self.choose.one_in(3) {
                    self.operand(I32, |shape| !shape.is_empty(), &shape)
                } else {
                    self.constant(I32, &shape)
                };
                let from = self.shape(x);
                let axis = self.axis(from.len());
                let count = self.choose.below(4);
                let max = from[axis].max(1);
                let at: Vec<i32> = (0..count).map(|_| self.choose.between(0, max - 1)).collect();
                let mut to = from.clone();
                to[axis] = count as i32;
                let axis = Field::Int(self.signed(axis, from.len()));
                let (at, y) = (self.ints(&at), self.like(x, &to));
                self.node(code, &[x, at], y, Some((23, vec![(0, axis)])));
            }
            81 => {
                let dims = self.dims(1);
                let x = if self.choose.one_in(3) {
                    self.operand(I32, |shape| shape.len() == 1, &dims)
                } else {
                    self.constant(I32, &dims)
                };
                let (axes, y) = (self.ints(&[0]), self.tensor(I32, &[]));
                self.node(code, &[x, axes], y, Some((27, vec![(0, Field::Bool(false))])));
            }
            94 => {
                let rank = self.choose.between(0, 3) as u32;
                let to = self.dims(rank);
                let kind = self.choose.pick(&[F32, I32, I8]);
                let (shape, value, y) = (self.ints(&to), self.constant(kind, &[]), self.tensor(kind, &to));
                self.node(code, &[shape, value], y, None);
            }
            _ => {
                let kinds = [F32, I32, I64, I8, U8, BOOL, F16, I32, I64];
                let (from, to) = (self.choose.pick(&kinds), self.choose.pick(&kinds));
                let shape = self.dims(1);
                let x = if !self.choose.one_in(4) {
                    self.constant(from, &shape)
                } else {
                    self.operand(from, |_| true, &shape)
                };
                let shape = self.shape(x);
                let y = self.tensor(to, &shape);
                self.node(code, &[x], y, None);
            }
        }
    }

    /// SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK.
    fn cut(&mut self, code: i32) {
        let x = self.any();
        let from = self.shape(x);
        if from.is_empty() {
            return;
        }
        match code {
            65 => {
                let begin: Vec<i32> = from.iter().map(|&dim| self.choose.between(0, dim.max(1) - 1)).collect();
                let to: Vec<i32> = from
                    .iter()
                    .zip(&begin)
                    .map(|(&dim, &begin)| self.choose.between(1, (dim - begin).max(1)))
                    .collect();
                let asked: Vec<i32> = (0..to.len())
                    .map(|i| if begin[i] + to[i] == from[i] && self.choose.one_in(2) { -1 } else { to[i] })
                    .collect();
                let (begin, asked, y) = (self.ints(&begin), self.ints(&asked), self.like(x, &to));
                self.node(code, &[x, begin, asked], y, None);
            }
            45 => {
                let (mut begin, mut end, mut stride, mut to) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                let (mut shrink, mut begins, mut ends) = (0, 0, 0);
                for (i, &dim) in from.iter().enumerate() {
                    let at = self.choose.between(0, dim.max(1) - 1);
                    begin.push(if self.choose.one_in(4) { at - dim } else { at });
                    if self.choose.one_in(4) {
                        shrink |= 1 << i;
                        end.push(at + 1);
                        stride.push(1);
                        continue;
                    }
                    let step: i32 = self.choose.pick(&[1, 1, 2, -1]);
                    stride.push(step);
                    let first = if self.choose.one_in(4) {
                        begins |= 1 << i;
                        if step > 0 { 0 } else { dim - 1 }
                    } else {
                        at
                    };
                    ends |= 1 << i;
                    end.push(dim);
                    let room = if step > 0 { dim - 1 - first } else { first };
                    to.push(room / step.abs() + 1);
                }
                let y = self.like(x, &to);
                let [begin, end, stride] = [begin, end, stride].map(|words| self.ints(&words));
                let masks = vec![(0, Field::Int(begins)), (1, Field::Int(ends)), (4, Field::Int(shrink))];
                self.node(code, &[x, begin, end, stride], y, Some((32, masks)));
            }
            88 => {
                let axis = self.axis(from.len());
                let mut to = from.clone();
                to.remove(axis);
                let outputs: Vec<usize> = (0..from[axis]).map(|_| self.like(x, &to)).collect();
                let options = vec![(0, Field::Int(from[axis])), (1, Field::Int(self.signed(axis, from.len())))];
                self.node_of(code, vec![x as i32], &outputs, Some((64, options)));
            }
            _ => {
                let axis = self.axis(from.len());
                let dim = from[axis];
                let parts: Vec<i32> = if code == 49 {
                    let divisors: Vec<i32> = (1..=dim.max(1)).filter(|d| dim % d == 0).collect();
                    let count = self.choose.pick(&divisors);
                    vec![dim / count; count as usize]
                } else {
                    let min = if self.choose.one_in(8) { 0 } else { 1 };
                    let first = self.choose.between(min, dim.max(1));
                    if first == dim { vec![dim] } else { vec![first, dim - first] }
                };
                let mut outputs = Vec::new();
                for &part in &parts {
                    let mut to = from.clone();
                    to[axis] = part;
                    outputs.push(self.like(x, &to));
                }
                let at = self.signed(axis, from.len());
                let at = self.ints(&[at]);
                self.graph.tensors[at].shape.clear();
                if code == 49 {
                    self.node_of(code, vec![at as i32, x as i32], &outputs, None);
                } else {
                    let sizes = self.ints(&parts);
                    self.node_of(code, vec![x as i32, sizes as i32, at as i32], &outputs, None);
                }
            }
        }
    }

    /// A variable that is read and assigned, and filled by a graph of its own in some cases.
    fn variables(&mut self) {
        let name = self.choose.pick(&["a", "b"]).to_string();
        let options = |name: &str| Some((111, vec![(0, Field::Text("c".into())), (1, Field::Text(name.into()))]));
        let handle = self.tensor(RESOURCE, &[]);
        self.graph.nodes.push(Node {
            code: 142,
            inputs: vec![],
            outputs: vec![handle as i32],
            options: options(&name),
        });
        let x = self.any();
        let shape = self.shape(x);
        let read = self.like(x, &shape);
        if self.choose.one_in(2) && self.initial.is_none() {
            let tensor = Tensor { bytes: None, ..self.graph.tensors[x].clone() };
            let filler = Tensor { bytes: Some(self.choose.bytes(elements(&shape) * size(tensor.kind))), ..tensor };
            let handle = self.graph.tensors[handle].clone();
            let graph = Graph {
                tensors: vec![handle, filler],
                nodes: vec![
                    Node { code: 142, inputs: vec![], outputs: vec![0], options: options(&name) },
                    Node { code: 144, inputs: vec![0, 1], outputs: vec![], options: None },
                ],
                ..Graph::default()
            };
            self.initial = Some(graph);
            let once = Some((103, vec![(0, Field::Int(1))]));
            self.graph.nodes.push(Node { code: 129, inputs: vec![], outputs: vec![], options: once });
        }
        let assign = Node { code: 144, inputs: vec![handle as i32, x as i32], outputs: vec![], options: None };
        let first = self.choose.one_in(2);
        if first {
            self.graph.nodes.push(assign.clone());
        }
        self.node(143, &[handle], read, None);
        if !first {
            self.graph.nodes.push(assign);
        }
    }

    /// Everything that nothing reads is an output.
    fn finish(&mut self) {
        let read: Vec<i32> = self.graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        for i in 0..self.ready.len() {
            let id = self.ready[i] as i32;
            let unread = !read.contains(&id) && !self.graph.inputs.contains(&id);
            if unread || self.choose.one_in(12) {
                self.graph.outputs.push(id);
            }
        }
        if self.choose.one_in(8)
            && let Some(tensor) = self.graph.tensors.first_mut()
        {
            tensor.signature = Some(tensor.shape.clone());
        }
    }
}

/// A number where arithmetic goes wrong.
fn odd_f32(choose: &mut Choices<'_>) -> f32 {
    match choose.below(3) {
        0 => choose.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -1.0, 1e38, 1e-38, 1e-45, f32::MAX]),
        _ => f32::from_bits(choose.word()),
    }
}

/// Changes one thing.
fn change(choose: &mut Choices<'_>, graph: &mut Graph) {
    let tensors = graph.tensors.len() as u32;
    let index = |choose: &mut Choices<'_>| match choose.below(4) {
        0 => choose.pick(&[-1, -2, i32::MAX, i32::MIN, tensors as i32]),
        _ => choose.below(tensors) as i32,
    };
    if choose.one_in(2) && tensors > 0 {
        let which = choose.below(tensors) as usize;
        let odd = choose.odd();
        let other = graph.tensors[choose.below(tensors) as usize].clone();
        let tensor = &mut graph.tensors[which];
        let dims = tensor.shape.len() as u32;
        match choose.below(13) {
            0 => tensor.kind = choose.pick(&[F32, F16, I32, U8, I64, 5, BOOL, I16, I8, 10, RESOURCE, 17, -1]),
            1 if dims > 0 => tensor.shape[choose.below(dims) as usize] = odd,
            2 if dims > 0 => drop(tensor.shape.remove(choose.below(dims) as usize)),
            3 => tensor.shape.push(choose.pick(&[1, 0, -1, 2])),
            4 => {
                tensor.signature =
                    Some(tensor.shape.iter().map(|&dim| if choose.one_in(2) { -1 } else { dim }).collect());
            }
            5 => tensor.scales = vec![odd_f32(choose)],
            6 => tensor.scales = (0..choose.below(5)).map(|_| odd_f32(choose)).collect(),
            7 => tensor.zero_points = vec![choose.pick(&[i64::MAX, i64::MIN, 128, -129, 256, odd.into()])],
            8 => tensor.axis = odd,
            9 => tensor.bytes = other.bytes,
            10 => tensor.variable = !tensor.variable,
            11 => {
                if let Some(bytes) = &mut tensor.bytes {
                    bytes.pop();
                }
            }
            _ => (tensor.scales, tensor.zero_points) = (other.scales, other.zero_points),
        }
        return;
    }
    if graph.nodes.is_empty() || choose.one_in(8) {
        let list = if choose.one_in(2) { &mut graph.inputs } else { &mut graph.outputs };
        list.push(index(choose));
        return;
    }
    let which = choose.below(graph.nodes.len() as u32) as usize;
    if choose.one_in(10) {
        let node = graph.nodes.remove(which);
        if choose.one_in(2) {
            graph.nodes.push(node);
        }
        return;
    }
    let node = &mut graph.nodes[which];
    let (inputs, outputs) = (node.inputs.len() as u32, node.outputs.len() as u32);
    match choose.below(8) {
        0 if inputs > 0 => node.inputs[choose.below(inputs) as usize] = index(choose),
        1 if inputs > 0 => drop(node.inputs.pop()),
        2 => node.inputs.push(index(choose)),
        3 if outputs > 0 => node.outputs[choose.below(outputs) as usize] = index(choose),
        4 => node.code = if choose.one_in(4) { choose.odd() } else { choose.pick(&CODES) },
        5 => node.options = None,
        _ => {
            let Some((union, fields)) = &mut node.options else { return };
            if fields.is_empty() || choose.one_in(8) {
                *union = choose.byte();
                return;
            }
            let which = choose.below(fields.len() as u32) as usize;
            let odd = choose.odd();
            match &mut fields[which].1 {
                Field::Byte(byte) => *byte = odd as i8,
                Field::Bool(bool) => *bool = !*bool,
                Field::Int(int) => *int = odd,
                Field::Float(float) => *float = odd_f32(choose),
                Field::Ints(ints) => ints.push(odd),
                Field::Text(text) => text.push(choose.pick(&['\u{1b}', '\0', '/', 'é'])),
            }
        }
    }
}

type Table = WIPOffset<TableFinishedWIPOffset>;
type Builder<'f> = FlatBufferBuilder<'f>;

/// The file of these graphs, the first of which is the main one.
pub fn bytes(graphs: &[Graph]) -> Vec<u8> {
    // Where what lies behind the tables begins, is known when they are written.
    let len = write(graphs, 0).len();
    write(graphs, len.next_multiple_of(16))
}

fn write(graphs: &[Graph], behind: usize) -> Vec<u8> {
    let mut b = FlatBufferBuilder::new();
    let mut codes: Vec<i32> = graphs.iter().flat_map(|graph| graph.nodes.iter().map(|node| node.code)).collect();
    codes.sort_unstable();
    codes.dedup();
    // Buffer 0 is the empty one.
    let mut buffers = vec![table(&mut b, &[])];
    let mut outside: Vec<u8> = Vec::new();
    let mut subgraphs = Vec::new();
    for graph in graphs {
        let mut tensors = Vec::new();
        for (i, tensor) in graph.tensors.iter().enumerate() {
            let buffer = match &tensor.bytes {
                None => 0,
                Some(bytes) if tensor.outside => {
                    let start = b.start_table();
                    b.push_slot_always(slot(1), (behind + outside.len()) as u64);
                    b.push_slot_always(slot(2), bytes.len() as u64);
                    buffers.push(b.end_table(start));
                    outside.extend(bytes);
                    outside.resize(outside.len().next_multiple_of(16), 0);
                    buffers.len() - 1
                }
                Some(bytes) => {
                    let bytes = b.create_vector(bytes);
                    let start = b.start_table();
                    b.push_slot_always(slot(0), bytes);
                    buffers.push(b.end_table(start));
                    buffers.len() - 1
                }
            };
            tensors.push(write_tensor(&mut b, i, tensor, buffer as u32));
        }
        let nodes: Vec<Table> = graph.nodes.iter().map(|node| write_node(&mut b, node, &codes)).collect();
        let (tensors, nodes) = (b.create_vector(&tensors), b.create_vector(&nodes));
        let (inputs, outputs) = (b.create_vector(&graph.inputs), b.create_vector(&graph.outputs));
        let start = b.start_table();
        b.push_slot_always(slot(0), tensors);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        b.push_slot_always(slot(3), nodes);
        subgraphs.push(b.end_table(start));
    }
    let codes: Vec<Table> = codes
        .iter()
        .map(|&code| {
            let old = Field::Byte(code.clamp(-128, 127) as i8);
            table(&mut b, &[(0, old), (2, Field::Int(1)), (3, Field::Int(code))])
        })
        .collect();
    let (codes, subgraphs, buffers) = (b.create_vector(&codes), b.create_vector(&subgraphs), b.create_vector(&buffers));
    let start = b.start_table();
    b.push_slot_always(slot(0), 3u32);
    b.push_slot_always(slot(1), codes);
    b.push_slot_always(slot(2), subgraphs);
    b.push_slot_always(slot(4), buffers);
    let model = b.end_table(start);
    b.finish(model, Some("TFL3"));
    let mut file = b.finished_data().to_vec();
    if behind > 0 {
        file.resize(behind, 0);
        file.extend(outside);
    }
    file
}

const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

fn write_tensor(b: &mut Builder<'_>, number: usize, tensor: &Tensor, buffer: u32) -> Table {
    let quantization = (!tensor.scales.is_empty()).then(|| {
        let (scales, zero_points) = (b.create_vector(&tensor.scales), b.create_vector(&tensor.zero_points));
        let start = b.start_table();
        b.push_slot_always(slot(2), scales);
        b.push_slot_always(slot(3), zero_points);
        b.push_slot_always(slot(6), tensor.axis);
        b.end_table(start)
    });
    let (shape, name) = (b.create_vector(&tensor.shape), b.create_string(&format!("tensor/{number}")));
    let signature = tensor.signature.as_ref().map(|signature| b.create_vector(signature));
    let start = b.start_table();
    b.push_slot_always(slot(0), shape);
    b.push_slot_always(slot(1), tensor.kind);
    b.push_slot_always(slot(2), buffer);
    b.push_slot_always(slot(3), name);
    if let Some(quantization) = quantization {
        b.push_slot_always(slot(4), quantization);
    }
    b.push_slot_always(slot(5), tensor.variable);
    if let Some(signature) = signature {
        b.push_slot_always(slot(7), signature);
    }
    b.end_table(start)
}

fn write_node(b: &mut Builder<'_>, node: &Node, codes: &[i32]) -> Table {
    let options = node.options.as_ref().map(|(union, fields)| (*union, table(b, fields)));
    let (inputs, outputs) = (b.create_vector(&node.inputs), b.create_vector(&node.outputs));
    let code = codes.iter().position(|&code| code == node.code).unwrap_or(0) as u32;
    let start = b.start_table();
    b.push_slot_always(slot(0), code);
    b.push_slot_always(slot(1), inputs);
    b.push_slot_always(slot(2), outputs);
    if let Some((union, options)) = options {
        b.push_slot_always(slot(3), union);
        b.push_slot_always(slot(4), options);
    }
    b.end_table(start)
}

fn table(b: &mut Builder<'_>, fields: &[(u16, Field)]) -> Table {
    enum Written<'a> {
        Plain,
        Ints(WIPOffset<flatbuffers::Vector<'a, i32>>),
        Text(WIPOffset<&'a str>),
    }
    let written: Vec<Written<'_>> = fields
        .iter()
        .map(|(_, field)| match field {
            Field::Ints(ints) => Written::Ints(b.create_vector(ints)),
            Field::Text(text) => Written::Text(b.create_string(text)),
            _ => Written::Plain,
        })
        .collect();
    let start = b.start_table();
    for ((number, field), written) in fields.iter().zip(written) {
        let at = slot(*number);
        match (field, written) {
            (_, Written::Ints(ints)) => b.push_slot_always(at, ints),
            (_, Written::Text(text)) => b.push_slot_always(at, text),
            (Field::Byte(byte), _) => b.push_slot_always(at, *byte),
            (Field::Bool(bool), _) => b.push_slot_always(at, *bool),
            (Field::Int(int), _) => b.push_slot_always(at, *int),
            (Field::Float(float), _) => b.push_slot_always(at, *float),
            (Field::Ints(_) | Field::Text(_), Written::Plain) => {}
        }
    }
    b.end_table(start)
}
