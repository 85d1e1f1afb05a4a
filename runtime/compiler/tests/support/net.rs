//! Small `.tflite` files, built tensor by tensor, and functions that compile and run them.
#![allow(dead_code)] // Each test file uses a part.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use tealight::OwnedSession;
use tealight_compiler::{CompileError, Options, compile_tflite};

/// Type codes of TensorFlow Lite.
pub(crate) const F32: i8 = 0;
pub(crate) const I32: i8 = 2;
pub(crate) const U8: i8 = 3;
pub(crate) const I64: i8 = 4;
pub(crate) const BOOL: i8 = 6;
pub(crate) const I16: i8 = 7;
pub(crate) const I8: i8 = 9;
pub(crate) const RESOURCE: i8 = 13;
pub(crate) const I4: i8 = 17;

/// A field of an operator's options.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Byte(i8),
    Int(i32),
    Float(f32),
    Bool(bool),
    Text(&'static str),
}

/// The scales, zero points and dimension of a quantization.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Q {
    pub(crate) scales: Vec<f32>,
    pub(crate) zero_points: Vec<i64>,
    pub(crate) dimension: i32,
}

/// One scale and zero point.
pub(crate) fn q(scale: f32, zero_point: i64) -> Option<Q> {
    Some(Q { scales: vec![scale], zero_points: vec![zero_point], dimension: 0 })
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tensor {
    pub(crate) dtype: i8,
    pub(crate) shape: Vec<i32>,
    pub(crate) signature: Vec<i32>,
    pub(crate) q: Option<Q>,
    pub(crate) data: Vec<u8>,
    pub(crate) variable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) code: i32,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
    /// The options' type code, and (field number, value).
    pub(crate) options: Option<(u8, Vec<(u16, Field)>)>,
}

/// A file with one graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) inputs: Vec<i32>,
    pub(crate) outputs: Vec<i32>,
}

impl Net {
    pub(crate) fn tensor(&mut self, dtype: i8, shape: &[i32], q: Option<Q>) -> i32 {
        self.tensors.push(Tensor { dtype, shape: shape.to_vec(), q, ..Tensor::default() });
        self.tensors.len() as i32 - 1
    }

    pub(crate) fn input(&mut self, dtype: i8, shape: &[i32], q: Option<Q>) -> i32 {
        let id = self.tensor(dtype, shape, q);
        self.inputs.push(id);
        id
    }

    pub(crate) fn output(&mut self, dtype: i8, shape: &[i32], q: Option<Q>) -> i32 {
        let id = self.tensor(dtype, shape, q);
        self.outputs.push(id);
        id
    }

    pub(crate) fn constant(&mut self, dtype: i8, shape: &[i32], q: Option<Q>, data: &[u8]) -> i32 {
        let id = self.tensor(dtype, shape, q);
        self.tensors[id as usize].data = data.to_vec();
        id
    }

    pub(crate) fn codes(&mut self, shape: &[i32], q: Option<Q>, codes: &[i8]) -> i32 {
        let data: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
        self.constant(I8, shape, q, &data)
    }

    /// Adds a constant vector of i32.
    pub(crate) fn ints(&mut self, ints: &[i32]) -> i32 {
        let data: Vec<u8> = ints.iter().flat_map(|int| int.to_le_bytes()).collect();
        self.constant(I32, &[ints.len() as i32], None, &data)
    }

    pub(crate) fn op(&mut self, code: i32, inputs: &[i32], outputs: &[i32], options: Option<(u8, &[(u16, Field)])>) {
        let options = options.map(|(code, fields)| (code, fields.to_vec()));
        self.operators.push(Operator { code, inputs: inputs.to_vec(), outputs: outputs.to_vec(), options });
    }

    /// Returns the bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut b = FlatBufferBuilder::new();
        let mut buffers = vec![table(&mut b, &[])];
        let mut tensors = Vec::new();
        for (i, tensor) in self.tensors.iter().enumerate() {
            let name = b.create_string(&format!("t{i}")).as_union_value();
            let shape = b.create_vector(&tensor.shape).as_union_value();
            let mut fields = vec![(0, Value::Table(shape)), (1, Value::Byte(tensor.dtype)), (3, Value::Table(name))];
            if !tensor.data.is_empty() {
                fields.push((2, Value::Int(buffers.len() as i32)));
                let data = b.create_vector(&tensor.data).as_union_value();
                buffers.push(table(&mut b, &[(0, Value::Table(data))]));
            }
            if let Some(q) = &tensor.q {
                let scales = b.create_vector(&q.scales).as_union_value();
                let zero_points = b.create_vector(&q.zero_points).as_union_value();
                let q = [(2, Value::Table(scales)), (3, Value::Table(zero_points)), (6, Value::Int(q.dimension))];
                fields.push((4, Value::Table(table(&mut b, &q))));
            }
            if tensor.variable {
                fields.push((5, Value::Bool(true)));
            }
            if !tensor.signature.is_empty() {
                fields.push((7, Value::Table(b.create_vector(&tensor.signature).as_union_value())));
            }
            tensors.push(table(&mut b, &fields));
        }
        let (mut operators, mut codes) = (Vec::new(), Vec::new());
        for (i, operator) in self.operators.iter().enumerate() {
            let old = i8::try_from(operator.code).unwrap_or(127);
            codes.push(table(&mut b, &[(0, Value::Byte(old)), (3, Value::Int(operator.code))]));
            let inputs = b.create_vector(&operator.inputs).as_union_value();
            let outputs = b.create_vector(&operator.outputs).as_union_value();
            let mut fields = vec![(0, Value::Int(i as i32)), (1, Value::Table(inputs)), (2, Value::Table(outputs))];
            if let Some((code, options)) = &operator.options {
                let options: Vec<(u16, Value)> = options
                    .iter()
                    .map(|(field, value)| {
                        let value = match *value {
                            Field::Byte(byte) => Value::Byte(byte),
                            Field::Int(int) => Value::Int(int),
                            Field::Float(float) => Value::Float(float),
                            Field::Bool(flag) => Value::Bool(flag),
                            Field::Text(text) => Value::Table(b.create_string(text).as_union_value()),
                        };
                        (*field, value)
                    })
                    .collect();
                let options = table(&mut b, &options);
                fields.extend([(3, Value::Byte(code.cast_signed())), (4, Value::Table(options))]);
            }
            operators.push(table(&mut b, &fields));
        }
        let lists = [b.create_vector(&self.inputs).as_union_value(), b.create_vector(&self.outputs).as_union_value()];
        let [tensors, operators, buffers, codes] =
            [tensors, operators, buffers, codes].map(|tables| b.create_vector(&tables).as_union_value());
        let graph = table(
            &mut b,
            &[
                (0, Value::Table(tensors)),
                (1, Value::Table(lists[0])),
                (2, Value::Table(lists[1])),
                (3, Value::Table(operators)),
            ],
        );
        let graphs = b.create_vector(&[graph]).as_union_value();
        let model = table(
            &mut b,
            &[(0, Value::Int(3)), (1, Value::Table(codes)), (2, Value::Table(graphs)), (4, Value::Table(buffers))],
        );
        b.finish(model, Some("TFL3"));
        b.finished_data().to_vec()
    }

    /// Compiles and runs the network, and returns its outputs.
    pub(crate) fn run(&self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, CompileError> {
        run(&self.bytes(), inputs)
    }
}

enum Value {
    Byte(i8),
    Int(i32),
    Float(f32),
    Bool(bool),
    Table(WIPOffset<UnionWIPOffset>),
}

fn table(b: &mut FlatBufferBuilder<'_>, fields: &[(u16, Value)]) -> WIPOffset<UnionWIPOffset> {
    let start = b.start_table();
    for (field, value) in fields {
        let slot = 4 + 2 * field;
        match value {
            Value::Byte(byte) => b.push_slot_always(slot, *byte),
            Value::Int(int) => b.push_slot_always(slot, *int),
            Value::Float(float) => b.push_slot_always(slot, *float),
            Value::Bool(flag) => b.push_slot_always(slot, *flag),
            Value::Table(offset) => b.push_slot_always(slot, *offset),
        }
    }
    b.end_table(start).as_union_value()
}

/// Compiles and runs a `.tflite` file, and returns its outputs.
pub(crate) fn run(tflite: &[u8], inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, CompileError> {
    Ok(run_file(&compile_tflite(tflite, &Options::default())?.bytes, inputs))
}

/// Runs a model file, and returns its outputs.
pub(crate) fn run_file(file: &[u8], inputs: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut session = OwnedSession::from_bytes(file).unwrap();
    for (k, input) in inputs.iter().enumerate() {
        session.input(k).unwrap().copy_from_bytes(input).unwrap();
    }
    session.run();
    (0..session.model().output_count()).map(|k| session.output(k).unwrap().as_bytes().to_vec()).collect()
}
