//! Reads NumPy arrays from a pickle, the format in which `numpy.save` writes objects that are not plain arrays.
//!
//! A pickle is a program for a stack machine that may call any Python function. Nothing is called here: a call becomes
//! a value, and an array is recognized by the calls that NumPy writes for it. Values are stored in one list and
//! referred to by index, so a value can change after others refer to it.
//!
//! The opcodes are those of protocol 2 that NumPy uses; Python's `pickletools` documents each.

use anyhow::{Context as _, Result, bail};
use std::collections::HashMap;

/// The index of a value.
pub type Id = usize;

/// A value of Python.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    None,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A function or class, `module name`.
    Global(String),
    /// A call of a function, and the state that was set on its result afterwards.
    Called {
        function: Id,
        arguments: Id,
        state: Option<Id>,
    },
}

impl Value {
    /// Returns the name of the kind of value, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a function or class",
            Self::Called { .. } => "a call",
        }
    }
}

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
}

/// An array of numbers, the last dimension innermost.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its elements.
    pub data: Vec<f64>,
}

/// An array as it is stored.
struct Array<'a> {
    dims: Vec<usize>,
    /// Whether the first dimension is innermost.
    fortran: bool,
    contents: Id,
    /// The type of its elements.
    dtype: &'a str,
}

/// The stack machine that executes a pickle.
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().context("the pickle is cut off")?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn text(&mut self, length: usize) -> Result<String> {
        let (text, rest) = self.rest.split_at_checked(length).context("the pickle is cut off")?;
        self.rest = rest;
        Ok(String::from_utf8(text.to_vec())?)
    }

    fn line(&mut self) -> Result<String> {
        let length = self.rest.iter().position(|&byte| byte == b'\n').context("the pickle is cut off")?;
        let line = self.text(length)?;
        self.bytes::<1>()?;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        self.stack.pop().context("the pickle pops from an empty stack")
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().context("the pickle pops from an empty stack")
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let from = self.stack.len().checked_sub(length).context("the pickle pops from an empty stack")?;
        let items = self.stack.split_off(from);
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.context("the pickle has no mark on its stack")?))
    }

    fn append(&mut self, items: &[Id]) -> Result<()> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            other => bail!("the pickle appends to {}", other.kind()),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        self.stack.push(*self.memo.get(&key).context("the pickle reads a memo entry that it never wrote")?);
        Ok(())
    }

    /// Executes the next opcode; returns true at the end.
    fn step(&mut self) -> Result<bool> {
        let [code] = self.bytes()?;
        match code {
            0x80 => {
                self.bytes::<1>()?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'.' => return Ok(true),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Int(1)),
            0x89 => self.push(Value::Int(0)),
            b'K' => {
                let [byte] = self.bytes()?;
                self.push(Value::Int(byte.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.bytes()?);
                self.push(Value::Int(number.into()));
            }
            b'J' => {
                let number = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Int(number.into()));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = self.text(length as usize)?;
                self.push(Value::Text(text));
            }
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.push(Value::Global(name));
            }
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                let dict = self.top()?;
                match &mut self.values[dict] {
                    Value::Dict(dict) => dict.extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value))),
                    other => bail!("the pickle sets an item of {}", other.kind()),
                }
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Value::Called { function, arguments, state: None });
            }
            b'b' => {
                let state_value = self.pop()?;
                let object = self.top()?;
                match &mut self.values[object] {
                    Value::Called { state, .. } => *state = Some(state_value),
                    other => bail!("the pickle sets the state of {}", other.kind()),
                }
            }
            b'q' => {
                let [key] = self.bytes()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.remember(key)?;
            }
            b'h' => {
                let [key] = self.bytes()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.recall(key)?;
            }
            other => bail!("the pickle has the opcode {other:#04x}, which is not supported"),
        }
        Ok(false)
    }
}

impl Pickle {
    /// Reads the object in a `.npy` file that holds one.
    ///
    /// # Errors
    /// If the file has another format, or contains what NumPy does not write for arrays, lists and dictionaries.
    pub fn from_npy(file: &[u8]) -> Result<Self> {
        // The format is magic, version, length of the text header, header; see numpy.lib.format.
        let rest = file.strip_prefix(b"\x93NUMPY\x01\x00").context("not a .npy file of version 1")?;
        let (length, rest) = rest.split_first_chunk().context("the .npy file is cut off")?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (header, rest) = rest.split_at_checked(length).context("the .npy file is cut off")?;
        if !header.windows(4).any(|text| text == b"'|O'") {
            bail!("the .npy file does not hold an object");
        }
        Self::read(rest)
    }

    /// Reads a pickle.
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut machine =
            Machine { rest: bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        while !machine.step()? {}
        let root = machine.pop()?;
        Ok(Self { values: machine.values, root })
    }

    /// Returns the object in an array that contains nothing else.
    ///
    /// # Errors
    /// If there is no such array.
    pub fn object(&self) -> Result<Id> {
        match self.list(self.array(self.root)?.contents)? {
            [object] => Ok(*object),
            other => bail!("the pickle holds {} objects", other.len()),
        }
    }

    /// Returns a value of a dictionary.
    ///
    /// # Errors
    /// If it is not a dictionary or lacks the key.
    pub fn get(&self, dict: Id, key: &str) -> Result<Id> {
        let Value::Dict(items) = &self.values[dict] else {
            bail!("expected a dictionary with {key}, found {}", self.values[dict].kind())
        };
        let found = items.iter().find(|(name, _)| self.values[*name] == Value::Text(key.into()));
        found.map(|(_, value)| *value).with_context(|| format!("the dictionary has no {key}"))
    }

    /// Returns the items of a list.
    ///
    /// # Errors
    /// If it is not a list.
    pub fn list(&self, id: Id) -> Result<&[Id]> {
        match &self.values[id] {
            Value::List(items) => Ok(items),
            other => bail!("expected a list, found {}", other.kind()),
        }
    }

    /// Returns the items of a tuple of known length.
    fn tuple<const N: usize>(&self, id: Id) -> Result<[Id; N]> {
        match &self.values[id] {
            Value::Tuple(items) => items.as_slice().try_into().context("a tuple has another length"),
            other => bail!("expected a tuple, found {}", other.kind()),
        }
    }

    /// Returns the arguments of a call of `name`, and the state that was set.
    fn called(&self, id: Id, name: &str) -> Result<(Id, Option<Id>)> {
        match &self.values[id] {
            Value::Called { function, arguments, state } if self.values[*function] == Value::Global(name.into()) => {
                Ok((*arguments, *state))
            }
            other => bail!("expected a call of {name}, found {}", other.kind()),
        }
    }

    fn text(&self, id: Id) -> Result<&str> {
        match &self.values[id] {
            Value::Text(text) => Ok(text),
            other => bail!("expected text, found {}", other.kind()),
        }
    }

    fn array(&self, id: Id) -> Result<Array<'_>> {
        let (_, state) = self.called(id, "numpy.core.multiarray _reconstruct")?;
        let [_, shape, dtype, fortran, contents] = self.tuple(state.context("an array without contents")?)?;
        let Value::Tuple(shape) = &self.values[shape] else { bail!("an array without a shape") };
        let dims = shape.iter().map(|&dim| match self.values[dim] {
            Value::Int(dim) => Ok(usize::try_from(dim)?),
            _ => bail!("a dimension is not a number"),
        });
        let [name, _, _] = self.tuple(self.called(dtype, "numpy dtype")?.0)?;
        let (dims, fortran) = (dims.collect::<Result<_>>()?, self.values[fortran] == Value::Int(1));
        Ok(Array { dims, fortran, contents, dtype: self.text(name)? })
    }

    /// Returns an array of 64-bit integers or floats.
    ///
    /// # Errors
    /// If it is not such an array.
    pub fn numbers(&self, id: Id) -> Result<Numbers> {
        let Array { dims, fortran, contents, dtype } = self.array(id)?;
        // Bytes are stored as text with one character per byte.
        let [text, encoding] = self.tuple(self.called(contents, "_codecs encode")?.0)?;
        if self.text(encoding)? != "latin1" {
            bail!("an array's bytes are not written as latin1");
        }
        let bytes = self.text(text)?.chars().map(|c| u8::try_from(c).context("a byte above 255"));
        let bytes = bytes.collect::<Result<Vec<u8>>>()?;
        let data: Vec<f64> = match dtype {
            "f8" => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            "i8" => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
            other => bail!("an array of {other} is not supported"),
        };
        if data.len() != dims.iter().product::<usize>() {
            bail!("an array of {dims:?} has {} elements", data.len());
        }
        let data = match dims[..] {
            [rows, columns] if fortran => (0..data.len()).map(|at| data[at % columns * rows + at / columns]).collect(),
            _ if fortran && dims.len() > 2 => bail!("an array of {dims:?} in Fortran order is not supported"),
            _ => data,
        };
        Ok(Numbers { dims, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pickle of `{'n': array(dims, order, dtype, bytes)}` in an array of objects, by hand as NumPy writes it.
    fn pickle(shape: &str, dims: &[u8], fortran: u8, dtype: &str, contents: &[u8]) -> Vec<u8> {
        let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let latin1: String = contents.iter().map(|&byte| char::from(byte)).collect();
        let array = |dims: &[u8], fortran: u8, dtype: &str, contents: &[u8]| {
            let mut bytes = b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(".to_vec();
            bytes.extend(dims.iter().flat_map(|&dim| [b'K', dim]));
            bytes.extend(b"tcnumpy\ndtype\n");
            bytes.extend([&text(dtype)[..], b"K\0K\x01\x87R", &[fortran]].concat());
            bytes.extend([contents, b"tb"].concat());
            bytes
        };
        let encoded = [b"c_codecs\nencode\n", &text(&latin1)[..], &text("latin1"), b"\x86R"].concat();
        let inner = array(dims, fortran, dtype, &encoded);
        let object = [b"]}(", &text("n")[..], &inner, b"ua"].concat();
        let outer = array(&[], 0x89, "O8", &object);
        let header = format!("{{'descr': '|O', 'shape': {shape}}}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), b"\x80\x02", &outer, b"."].concat()
    }

    fn numbers(file: &[u8]) -> Result<Numbers> {
        let pickle = Pickle::from_npy(file)?;
        pickle.numbers(pickle.get(pickle.object()?, "n")?)
    }

    fn bytes(numbers: &[f64]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    #[test]
    fn an_array_is_read_in_either_order() {
        let data = bytes(&[1., 2., -3., 4e9, 5., 0.1]);
        let rows = numbers(&pickle("()", &[3, 2], 0x89, "f8", &data)).unwrap();
        assert_eq!((rows.dims, rows.data), (vec![3, 2], vec![1., 2., -3., 4e9, 5., 0.1]));
        let columns = numbers(&pickle("()", &[3, 2], 0x88, "f8", &data)).unwrap();
        assert_eq!(columns.data, [1., 4e9, 2., 5., -3., 0.1]);
        let whole = numbers(&pickle("()", &[1], 0x88, "i8", &(-7i64).to_le_bytes())).unwrap();
        assert_eq!(whole.data, [-7.]);
    }

    #[test]
    fn rejects_other_pickles() {
        let good = pickle("()", &[1], 0x89, "f8", &bytes(&[1.]));
        assert!(numbers(&good).is_ok());
        for length in 0..good.len() {
            assert!(numbers(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(numbers(&pickle("()", &[2], 0x89, "f8", &bytes(&[1.]))).is_err());
        assert!(numbers(&pickle("()", &[1], 0x89, "c8", &bytes(&[1.]))).is_err());
        let pickle = Pickle::from_npy(&good).unwrap();
        assert!(pickle.get(pickle.object().unwrap(), "m").unwrap_err().to_string().contains("no m"));
    }
}
