//! The few instructions of Python's pickles that `paddle.save` writes, protocols 2 to 4. A pickle is a program for a stack
//! machine; this one makes text, numbers, plain containers and numpy arrays, and refuses everything else by name. It
//! calls nothing: the globals below are words to it. Values lie in one list and refer to each other by their place in it,
//! so that no nesting is too deep; text and data stay in the file's bytes.
//!
//! Reference: `pickletools` of Python 3.11; `paddle.framework.io` of Paddle 2.6 and 3.3.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::DType;

use super::super::pickle::Refusal;

/// Values, and values on the stack, at most; a state dict needs about thirty for a tensor.
const MOST: usize = 1 << 20;
/// Axes of an array at most: numpy's own limit.
const AXES: usize = 64;
/// Arguments of a call, and parts of an object's content, that are looked at; none has more than nine.
const FIELDS: usize = 16;
/// Length of the lines of a global at most.
const LINE: usize = 4096;

/// The place of a value in [`Values`].
pub(super) type Id = u32;
/// All values that a pickle made.
pub(super) type Values = Vec<Value>;

/// The globals that `paddle.save` needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `numpy.core.multiarray._reconstruct`: an array whose content follows.
    Reconstruct,
    /// `numpy.ndarray`, which it is given.
    NdArray,
    /// `numpy.dtype`
    DType,
    /// `_codecs.encode`: bytes as text, in protocol 2.
    Encode,
    /// `tuple`, around the name and the array of a tensor that is not directly in a state dict.
    Tuple,
    /// `bytes`, of which protocol 2 makes empty ones.
    Bytes,
    /// `collections.OrderedDict`
    OrderedDict,
}

const GLOBALS: &[(&[&str], &str, Global)] = &[
    (&["numpy.core.multiarray", "numpy._core.multiarray"], "_reconstruct", Global::Reconstruct),
    (&["numpy"], "ndarray", Global::NdArray),
    (&["numpy"], "dtype", Global::DType),
    (&["_codecs"], "encode", Global::Encode),
    (&["builtins", "__builtin__"], "tuple", Global::Tuple),
    (&["builtins", "__builtin__"], "bytes", Global::Bytes),
    (&["collections"], "OrderedDict", Global::OrderedDict),
];

/// Bytes of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Data {
    pub(super) range: Range<usize>,
    /// Whether they are UTF-8 whose characters are the bytes meant.
    pub(super) latin: bool,
}

/// A numpy array, whose data has the length that its type and shape say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    /// Whether the first axis is the one that changes fastest.
    pub(super) fortran: bool,
    pub(super) data: Data,
}

/// What a pickle holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `None`, or a fractional number: never looked at.
    Plain,
    Int(i64),
    /// UTF-8 in the file's bytes.
    Text(Range<usize>),
    Bytes(Data),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A numpy type; its byte order follows.
    Type(DType),
    /// A numpy type in little-endian order.
    LittleType(DType),
    /// An array before its content.
    Hollow,
    Array(Array),
}

/// Runs the pickle in `bytes`, which it must be all of. → the values, and which of them is the result
pub(super) fn run(bytes: &[u8]) -> Result<(Values, Id), Refusal> {
    let mut machine = Machine { bytes, ..Machine::default() };
    if machine.byte()? != 0x80 {
        return broken("it does not begin as a pickle does");
    }
    let protocol = machine.byte()?;
    if !(2..=4).contains(&protocol) {
        return broken(format!("pickle protocol {protocol}, where `paddle.save` writes 2 to 4"));
    }
    while machine.step()? {}
    if machine.at != bytes.len() {
        return broken("bytes stand behind its end");
    }
    let result = machine.pop()?;
    Ok((machine.values, result))
}

fn broken<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(problem.into()))
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Values,
    stack: Vec<Id>,
    /// Heights of the stack where marks stand.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// Bytes of all arrays so far.
    data: usize,
}

impl Machine<'_> {
    /// Carries out one instruction; `false` after the last.
    fn step(&mut self) -> Result<bool, Refusal> {
        match self.byte()? {
            b'.' => return Ok(false),
            b'(' if self.marks.len() >= MOST => return broken(format!("it sets more than {MOST} marks")),
            b'(' => self.marks.push(self.stack.len()),
            0x95 => drop(self.take(8)?), // a frame: so many bytes could be read at once
            b'N' => self.push(Value::Plain)?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Plain)?;
            }
            0x88 => self.push(Value::Int(1))?,
            0x89 => self.push(Value::Int(0))?,
            b'K' => self.integer(1, false)?,
            b'M' => self.integer(2, false)?,
            b'J' => self.integer(4, true)?,
            0x8a => {
                let length = self.length(1)?;
                self.integer(length, true)?;
            }
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' | b'U' => self.data(1)?, // `U` and `T` are Python 2's text
            b'B' | b'T' => self.data(4)?,
            0x8e => self.data(8)?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b']' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            count @ 0x85..=0x87 => {
                let items = (0x85..=count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                self.push(Value::Tuple(items.into_iter().rev().collect()))?;
            }
            b't' => {
                let items = self.to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.to_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.to_mark()?;
                self.set(&items)?;
            }
            0x94 => self.memorise(self.memo.len() as u32)?,
            b'q' => self.length(1).and_then(|at| self.memorise(at as u32))?,
            b'r' => self.length(4).and_then(|at| self.memorise(at as u32))?,
            b'h' => self.length(1).and_then(|at| self.recall(at as u32))?,
            b'j' => self.length(4).and_then(|at| self.recall(at as u32))?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (self.get(module), self.get(name)) else {
                    return broken("the name of a global is no text");
                };
                self.global(module.clone(), name.clone())?;
            }
            b'R' => self.call()?,
            b'b' => self.build()?,
            other => return Err(Refusal::Asks(format!("the instruction 0x{other:02x}"))),
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) -> Result<Range<usize>, Refusal> {
        match self.at.checked_add(count).filter(|end| *end <= self.bytes.len()) {
            Some(end) => Ok(std::mem::replace(&mut self.at, end)..end),
            None => broken("it ends too early"),
        }
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let at = self.take(1)?.start;
        Ok(self.bytes[at])
    }

    /// A count in `width` bytes, little-endian.
    fn length(&mut self, width: usize) -> Result<usize, Refusal> {
        let bytes = self.take(width)?;
        Ok(self.bytes[bytes].iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn line(&mut self) -> Result<Range<usize>, Refusal> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(LINE).position(|byte| *byte == b'\n') else {
            return broken("a line of a global has no end");
        };
        let line = self.at..self.at + length;
        self.at = line.end + 1;
        if str::from_utf8(&self.bytes[line.clone()]).is_err() {
            return broken("the name of a global is no UTF-8");
        }
        Ok(line)
    }

    fn push(&mut self, value: Value) -> Result<(), Refusal> {
        if self.values.len() >= MOST {
            return broken(format!("it makes more than {MOST} values"));
        }
        self.values.push(value);
        self.push_id(self.values.len() as Id - 1)
    }

    fn push_id(&mut self, id: Id) -> Result<(), Refusal> {
        if self.stack.len() >= MOST {
            return broken(format!("it stacks more than {MOST} values"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => broken("it takes a value that is not there"),
        }
    }

    /// The value on top of the stack, which stays there.
    fn top(&self) -> Result<Id, Refusal> {
        self.stack.last().copied().map_or_else(|| broken("it uses a value that is not there"), Ok)
    }

    fn to_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => broken("it goes back to a mark that is not there"),
        }
    }

    fn get(&self, id: Id) -> &Value {
        &self.values[id as usize]
    }

    fn integer(&mut self, width: usize, signed: bool) -> Result<(), Refusal> {
        if width > 8 {
            return broken(format!("it holds an integer of {width} bytes"));
        }
        let bytes = self.take(width)?;
        let bytes = &self.bytes[bytes];
        let negative = signed && bytes.last().is_some_and(|byte| *byte >= 0x80);
        let start = if negative { -1 } else { 0 };
        let value = bytes.iter().rev().fold(start, |value: i64, byte| value << 8 | i64::from(*byte));
        self.push(Value::Int(value))
    }

    fn text(&mut self, width: usize) -> Result<(), Refusal> {
        let length = self.length(width)?;
        let range = self.take(length)?;
        if str::from_utf8(&self.bytes[range.clone()]).is_err() {
            return broken("a text in it is no UTF-8");
        }
        self.push(Value::Text(range))
    }

    fn data(&mut self, width: usize) -> Result<(), Refusal> {
        let length = self.length(width)?;
        let range = self.take(length)?;
        self.push(Value::Bytes(Data { range, latin: false }))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Refusal> {
        let list = self.top()?;
        match &mut self.values[list as usize] {
            Value::List(list) => list.extend(items),
            _ => return broken("it appends to what is no list"),
        }
        Ok(())
    }

    /// Adds keys and values, which take turns, to the dictionary on top of the stack.
    fn set(&mut self, items: &[Id]) -> Result<(), Refusal> {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.values[dict as usize] {
            Value::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return broken("it sets items of what is no dictionary"),
        }
        Ok(())
    }

    fn memorise(&mut self, at: u32) -> Result<(), Refusal> {
        let id = self.top()?;
        self.memo.insert(at, id);
        if self.memo.len() > MOST { broken(format!("it remembers more than {MOST} values")) } else { Ok(()) }
    }

    fn recall(&mut self, at: u32) -> Result<(), Refusal> {
        match self.memo.get(&at) {
            Some(&id) => self.push_id(id),
            None => broken("it recalls a value that it never had"),
        }
    }

    fn global(&mut self, module: Range<usize>, name: Range<usize>) -> Result<(), Refusal> {
        let [module, name] = [module, name].map(|range| String::from_utf8_lossy(&self.bytes[range]));
        let known = GLOBALS.iter().find(|(modules, known, _)| modules.contains(&&*module) && *known == name);
        match known {
            Some(&(_, _, global)) => self.push(Value::Global(global)),
            None => {
                let full: String = format!("{module}.{name}").chars().take(200).collect();
                Err(Refusal::Asks(format!("`{full}`")))
            }
        }
    }

    /// The result of calling a global with a tuple of arguments.
    fn call(&mut self) -> Result<(), Refusal> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Value::Tuple(ids)) = (self.get(callable), self.get(arguments)) else {
            return broken("it calls what is no global");
        };
        let global = *global;
        let arguments: Vec<&Value> = ids.iter().take(FIELDS).map(|id| self.get(*id)).collect();
        let made = match (global, arguments.as_slice()) {
            (Global::Tuple, [Value::Tuple(_)]) => {
                let items = ids[0];
                return self.push_id(items);
            }
            (
                Global::Reconstruct,
                [Value::Global(Global::NdArray), Value::Tuple(_), Value::Bytes(_) | Value::Text(_)],
            ) => Value::Hollow,
            (Global::DType, [code, Value::Int(_), Value::Int(_)]) => Value::Type(self.dtype(code)?),
            (Global::Encode, [Value::Text(text), Value::Text(encoding)])
                if matches!(&self.bytes[encoding.clone()], b"latin1" | b"latin-1") =>
            {
                Value::Bytes(Data { range: text.clone(), latin: true })
            }
            (Global::Bytes, []) => Value::Bytes(Data { range: 0..0, latin: false }),
            (Global::OrderedDict, []) => Value::Dict(Vec::new()),
            _ => {
                return Err(Refusal::Asks(format!(
                    "a call of {global:?} with other arguments than `paddle.save` gives it"
                )));
            }
        };
        self.push(made)
    }

    /// Paddle has no numpy type for bfloat16 and writes such numbers as unsigned integers of 16 bits.
    fn dtype(&self, code: &Value) -> Result<DType, Refusal> {
        let (Value::Text(code) | Value::Bytes(Data { range: code, .. })) = code else {
            return broken("the name of a numpy type is no text");
        };
        Ok(match &self.bytes[code.clone()] {
            b"f8" => DType::F64,
            b"f4" => DType::F32,
            b"f2" => DType::F16,
            b"u2" => DType::BF16,
            b"i8" => DType::I64,
            b"i4" => DType::I32,
            b"i2" => DType::I16,
            b"i1" => DType::I8,
            b"u1" | b"b1" => DType::U8,
            other => {
                let code: String = String::from_utf8_lossy(other).chars().take(20).collect();
                return Err(Refusal::Asks(format!("numpy arrays of type `{code}`")));
            }
        })
    }

    /// Gives the value below the top of the stack the content on top of it.
    fn build(&mut self) -> Result<(), Refusal> {
        let content = self.pop()?;
        let target = self.top()?;
        let Value::Tuple(content) = self.get(content) else { return broken("it fills a value with what is no tuple") };
        let content: Vec<&Value> = content.iter().take(FIELDS).map(|id| self.get(*id)).collect();
        let filled = match (self.get(target), content.as_slice()) {
            (Value::Type(dtype), [Value::Int(_), order, Value::Plain, Value::Plain, Value::Plain, ..]) => {
                let (Value::Text(order) | Value::Bytes(Data { range: order, .. })) = order else {
                    return broken("the byte order of a numpy type is no text");
                };
                match &self.bytes[order.clone()] {
                    b"<" | b"=" | b"|" => Value::LittleType(*dtype),
                    _ => return Err(Refusal::Asks("numpy arrays in big-endian order".to_owned())),
                }
            }
            (
                Value::Hollow,
                [Value::Int(_), Value::Tuple(shape), Value::LittleType(dtype), Value::Int(fortran), Value::Bytes(data)],
            ) => Value::Array(self.array(shape, *dtype, *fortran != 0, data)?),
            _ => return Err(Refusal::Asks("an object that is no numpy array".to_owned())),
        };
        if let Value::Array(array) = &filled {
            // What arrays hold stands in the file once for each: so little can be asked of those who read them.
            self.data += array.data.range.len();
            if self.data > self.bytes.len() {
                return broken("its arrays hold more than the file");
            }
        }
        self.values[target as usize] = filled;
        Ok(())
    }

    fn array(&self, shape: &[Id], dtype: DType, fortran: bool, data: &Data) -> Result<Array, Refusal> {
        let axis = |id: &Id| match self.get(*id) {
            Value::Int(length) => usize::try_from(*length).ok(),
            _ => None,
        };
        let shape = if shape.len() <= AXES { shape.iter().map(axis).collect::<Option<Vec<usize>>>() } else { None };
        let Some(shape) = shape else { return broken("the shape of an array is none") };
        let length = shape.iter().try_fold(dtype.size(), |length, axis| length.checked_mul(*axis));
        let bytes = &self.bytes[data.range.clone()];
        let found = match str::from_utf8(bytes) {
            Ok(text) if data.latin && text.chars().all(|char| char <= 'ÿ') => text.chars().count(),
            _ if data.latin => return broken("the data of an array is no text of bytes"),
            _ => bytes.len(),
        };
        if length != Some(found) {
            return broken(format!("an array of shape {shape:?} and type {dtype:?} has {found} bytes"));
        }
        Ok(Array { dtype, shape, fortran, data: data.clone() })
    }
}
