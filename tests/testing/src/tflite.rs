//! TensorFlow Lite files, written by hand: also such as no converter writes, whose tables are shared.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

/// A table that was written; it may stand in any number of lists.
pub type Table = WIPOffset<TableFinishedWIPOffset>;

/// Codes of element types.
pub const F32: i8 = 0;
pub const I32: i8 = 2;
pub const I8: i8 = 9;

/// Codes of operators.
pub const ADD: i32 = 0;
pub const CONCATENATION: i32 = 2;
pub const DEPTHWISE_CONV_2D: i32 = 4;
pub const FULLY_CONNECTED: i32 = 9;
pub const RELU: i32 = 19;
pub const CUSTOM: i32 = 32;
pub const GATHER: i32 = 36;

/// The buffer without bytes, which is always there.
pub const NONE: u32 = 0;

/// A file in the making. Tensors and nodes are those of its last graph.
pub struct File {
    b: FlatBufferBuilder<'static>,
    /// The graphs before the last one.
    graphs: Vec<Table>,
    signatures: Vec<Table>,
    /// Each operator's code and, of a custom one, its name.
    codes: Vec<(i32, String)>,
    buffers: Vec<Table>,
    pub tensors: Vec<Table>,
    pub nodes: Vec<Table>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

impl Default for File {
    fn default() -> Self {
        let mut file = Self {
            b: FlatBufferBuilder::new(),
            graphs: Vec::new(),
            signatures: Vec::new(),
            codes: Vec::new(),
            buffers: Vec::new(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let start = file.b.start_table();
        let none = file.b.end_table(start);
        file.buffers.push(none);
        file
    }
}

impl File {
    /// A buffer with these bytes.
    pub fn buffer(&mut self, bytes: &[u8]) -> u32 {
        let data = self.b.create_vector(bytes);
        let start = self.b.start_table();
        self.b.push_slot_always(slot(0), data);
        let buffer = self.b.end_table(start);
        self.listed(buffer)
    }

    /// A buffer whose bytes are a range of the file.
    pub fn range(&mut self, start_byte: u64, len: u64) -> u32 {
        let start = self.b.start_table();
        self.b.push_slot_always(slot(1), start_byte);
        self.b.push_slot_always(slot(2), len);
        let buffer = self.b.end_table(start);
        self.listed(buffer)
    }

    fn listed(&mut self, buffer: Table) -> u32 {
        self.buffers.push(buffer);
        self.buffers.len() as u32 - 1
    }

    /// A tensor's table, which is in no list yet; int8 ones have scale 0.5 and zero point 3, constants of int8 zero
    /// point 0.
    pub fn table(&mut self, name: &str, kind: i8, shape: &[i32], buffer: u32) -> Table {
        let (name, shape) = (self.b.create_string(name), self.b.create_vector(shape));
        let quantization = (kind == I8).then(|| {
            let zero_point: i64 = if buffer == NONE { 3 } else { 0 };
            let (scale, zero_point) = (self.b.create_vector(&[0.5f32]), self.b.create_vector(&[zero_point]));
            let start = self.b.start_table();
            self.b.push_slot_always(slot(2), scale);
            self.b.push_slot_always(slot(3), zero_point);
            self.b.end_table(start)
        });
        let start = self.b.start_table();
        self.b.push_slot_always(slot(0), shape);
        self.b.push_slot(slot(1), kind, 0);
        self.b.push_slot(slot(2), buffer, 0);
        self.b.push_slot_always(slot(3), name);
        if let Some(quantization) = quantization {
            self.b.push_slot_always(slot(4), quantization);
        }
        self.b.end_table(start)
    }

    /// A tensor of its own.
    pub fn tensor(&mut self, name: &str, kind: i8, shape: &[i32], buffer: u32) -> i32 {
        let table = self.table(name, kind, shape, buffer);
        self.listed_tensor(table)
    }

    /// A tensor whose table others may have too.
    pub fn listed_tensor(&mut self, table: Table) -> i32 {
        self.tensors.push(table);
        self.tensors.len() as i32 - 1
    }

    /// A node; the options are the type code of their table and its fields, each of 32 bits.
    pub fn node(&mut self, code: i32, inputs: &[i32], outputs: &[i32], options: Option<(u8, &[i32])>) {
        self.custom_node(code, "", inputs, outputs, options);
    }

    /// A node of a custom operator, or of another with a name that says nothing.
    pub fn custom_node(
        &mut self,
        code: i32,
        name: &str,
        inputs: &[i32],
        outputs: &[i32],
        options: Option<(u8, &[i32])>,
    ) {
        let known = self.codes.iter().position(|(known, called)| *known == code && called == name);
        let index = known.unwrap_or_else(|| {
            self.codes.push((code, name.into()));
            self.codes.len() - 1
        });
        let (inputs, outputs) = (self.b.create_vector(inputs), self.b.create_vector(outputs));
        let options = options.map(|(kind, fields)| {
            let start = self.b.start_table();
            for (field, &value) in (0..).zip(fields) {
                self.b.push_slot(slot(field), value, 0);
            }
            (kind, self.b.end_table(start))
        });
        let start = self.b.start_table();
        self.b.push_slot(slot(0), index as u32, 0);
        self.b.push_slot_always(slot(1), inputs);
        self.b.push_slot_always(slot(2), outputs);
        if let Some((kind, options)) = options {
            self.b.push_slot_always(slot(3), kind);
            self.b.push_slot_always(slot(4), options);
        }
        let node = self.b.end_table(start);
        self.nodes.push(node);
    }

    /// Ends the graph: what follows is in another one.
    pub fn end_graph(&mut self) {
        let b = &mut self.b;
        let [tensors, nodes] = [&self.tensors, &self.nodes].map(|tables| b.create_vector(tables));
        let [inputs, outputs] = [&self.inputs, &self.outputs].map(|indices| b.create_vector(indices));
        let start = b.start_table();
        b.push_slot_always(slot(0), tensors);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        b.push_slot_always(slot(3), nodes);
        let graph = b.end_table(start);
        self.graphs.push(graph);
        (self.tensors, self.nodes) = (Vec::new(), Vec::new());
        (self.inputs, self.outputs) = (Vec::new(), Vec::new());
    }

    /// A signature of a graph, with names for its inputs and outputs.
    pub fn signature(&mut self, key: &str, graph: u32, inputs: &[(&str, i32)], outputs: &[(&str, i32)]) {
        let b = &mut self.b;
        let key = b.create_string(key);
        let [inputs, outputs] = [inputs, outputs].map(|names| {
            let mut maps = Vec::new();
            for &(name, tensor) in names {
                let name = b.create_string(name);
                let start = b.start_table();
                b.push_slot_always(slot(0), name);
                b.push_slot(slot(1), tensor as u32, 0);
                maps.push(b.end_table(start));
            }
            b.create_vector(&maps)
        });
        let start = b.start_table();
        b.push_slot_always(slot(0), inputs);
        b.push_slot_always(slot(1), outputs);
        b.push_slot_always(slot(2), key);
        b.push_slot(slot(4), graph, 0);
        let signature = b.end_table(start);
        self.signatures.push(signature);
    }

    /// The whole file.
    pub fn bytes(mut self) -> Vec<u8> {
        self.end_graph();
        let b = &mut self.b;
        let mut codes = Vec::new();
        for (code, name) in &self.codes {
            let name = b.create_string(name);
            let start = b.start_table();
            b.push_slot_always(slot(0), *code as i8);
            b.push_slot_always(slot(1), name);
            b.push_slot(slot(3), *code, 0);
            codes.push(b.end_table(start));
        }
        let [codes, graphs, buffers, signatures] =
            [&codes, &self.graphs, &self.buffers, &self.signatures].map(|tables| b.create_vector(tables));
        let start = b.start_table();
        b.push_slot_always(slot(0), 3u32);
        b.push_slot_always(slot(1), codes);
        b.push_slot_always(slot(2), graphs);
        b.push_slot_always(slot(4), buffers);
        if !self.signatures.is_empty() {
            b.push_slot_always(slot(7), signatures);
        }
        let model = b.end_table(start);
        b.finish(model, Some("TFL3"));
        b.finished_data().to_vec()
    }
}
