//! The few instructions of Python's pickles that `torch.jit.save` writes, protocol 2. A pickle is a program for a stack
//! machine; this one makes modules, tensors, text, numbers and plain containers, and refuses everything else by name.
//! Nothing is called: what a pickle asks to be called is compared with words.
//!
//! Reference: `pickletools` of Python 3.11; `torch/csrc/jit/serialization/pickler.cpp` of PyTorch 2.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::pickle::Refusal;
use super::objects::{Id, Value};

/// Values, and values on the stack, at most.
pub(super) const MOST: usize = 1 << 20;
/// Length of the lines of a global at most.
const LINE: usize = 4096;

/// Runs the pickle in `bytes`. → all values, and which of them is the result
pub(super) fn run(bytes: &[u8]) -> Result<(Vec<Value>, Id), Refusal> {
    let mut machine = Machine { bytes, ..Machine::default() };
    if machine.take(2)? != (0..2) || bytes[..2] != [0x80, 2] {
        return broken("it does not begin as a pickle of protocol 2 does");
    }
    while machine.step()? {}
    let result = machine.pop()?;
    Ok((machine.values, result))
}

/// A refusal of what no pickler writes.
pub(super) fn broken<T>(problem: &str) -> Result<T, Refusal> {
    Err(Refusal::Broken(problem.to_owned()))
}

/// A pickle being read.
#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack where marks stand.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// Attributes of all modules so far.
    pub(super) held: usize,
}

impl Machine<'_> {
    /// Carries out one instruction; `false` after the last.
    fn step(&mut self) -> Result<bool, Refusal> {
        let at = self.take(1)?.start;
        match self.bytes[at] {
            b'.' => return Ok(false),
            b'(' if self.marks.len() >= MOST => return broken("it sets too many marks"),
            b'(' => self.marks.push(self.stack.len()),
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
            b'X' => {
                let length = self.length(4)?;
                let range = self.take(length)?;
                self.text_of(&range)?;
                self.push(Value::Text(range))?;
            }
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b']' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            count @ 0x85..=0x87 => {
                let items = (0x85..=count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                self.push(Value::Tuple(items.into_iter().rev().collect()))?;
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'q' => self.length(1).and_then(|at| self.memorise(at as u32))?,
            b'r' => self.length(4).and_then(|at| self.memorise(at as u32))?,
            b'h' => self.length(1).and_then(|at| self.recall(at as u32))?,
            b'j' => self.length(4).and_then(|at| self.recall(at as u32))?,
            b'c' => self.global()?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            0x81 => self.object()?,
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

    /// A count in `width` bytes, little-endian.
    fn length(&mut self, width: usize) -> Result<usize, Refusal> {
        let bytes = self.take(width)?;
        Ok(self.bytes[bytes].iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn integer(&mut self, width: usize, signed: bool) -> Result<(), Refusal> {
        if width > 8 {
            return broken("it holds an integer of more than 8 bytes");
        }
        let bytes = self.take(width)?;
        let bytes = &self.bytes[bytes];
        let negative = signed && bytes.last().is_some_and(|byte| *byte >= 0x80);
        let start = if negative { -1 } else { 0 };
        let value = bytes.iter().rev().fold(start, |value: i64, byte| value << 8 | i64::from(*byte));
        self.push(Value::Int(value))
    }

    pub(super) fn text_of(&self, range: &Range<usize>) -> Result<&str, Refusal> {
        str::from_utf8(&self.bytes[range.clone()]).or_else(|_| broken("a text in it is no UTF-8"))
    }

    pub(super) fn line(&mut self) -> Result<Range<usize>, Refusal> {
        let length = self.bytes[self.at..].iter().take(LINE).position(|byte| *byte == b'\n');
        let Some(length) = length else { return broken("a line of a global has no end") };
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), Refusal> {
        if self.values.len() >= MOST || self.stack.len() >= MOST {
            return broken("it makes too many values");
        }
        self.values.push(value);
        self.stack.push(self.values.len() as Id - 1);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => broken("it takes a value that is not there"),
        }
    }

    pub(super) fn top(&mut self) -> Result<&mut Value, Refusal> {
        match self.stack.last() {
            Some(&id) => Ok(&mut self.values[id as usize]),
            None => broken("it uses a value that is not there"),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => broken("it goes back to a mark that is not there"),
        }
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id as usize]
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Refusal> {
        match self.top()? {
            Value::List(list) => list.extend(items),
            _ => return broken("it appends to what is no list"),
        }
        Ok(())
    }

    /// Adds keys and values, which take turns, to the dictionary on top of the stack.
    fn set(&mut self, items: &[Id]) -> Result<(), Refusal> {
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top()? {
            Value::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return broken("it sets items of what is no dictionary"),
        }
        Ok(())
    }

    fn memorise(&mut self, at: u32) -> Result<(), Refusal> {
        let Some(&id) = self.stack.last() else { return broken("it remembers a value that is not there") };
        self.memo.insert(at, id);
        if self.memo.len() > MOST { broken("it remembers too many values") } else { Ok(()) }
    }

    fn recall(&mut self, at: u32) -> Result<(), Refusal> {
        match self.memo.get(&at) {
            Some(_) if self.stack.len() >= MOST => broken("it stacks too many values"),
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => broken("it recalls a value that it never had"),
        }
    }
}
