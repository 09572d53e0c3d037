//! The few instructions of Python's pickles, protocols 2 to 4, that files of weights need. A pickle is a program for a stack
//! machine; this one makes text, numbers and plain containers. What it names, calls and fills beside them is compared with
//! the words of the kind of file ([`Words`]), and everything else refused by name: nothing is called.
//!
//! Reference: `pickletools` of Python 3.11.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::pickle::Refusal;

/// Values, and values on the stack, at most; a state dict needs about thirty for a tensor.
pub(super) const MOST: usize = 1 << 20;
/// Length of the lines of a global at most.
const LINE: usize = 4096;

/// The place of a value in [`Values`].
pub(super) type Id = u32;
/// All values that a pickle made. They refer to each other by their place, so that no nesting is too deep.
pub(super) type Values<W> = Vec<Value<W>>;

/// Bytes of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Data {
    pub(super) range: Range<usize>,
    /// Whether they are UTF-8 whose characters are the bytes meant.
    pub(super) latin: bool,
}

/// What a pickle holds; text and data stay in the file's bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<W> {
    /// `None`, a fractional number and other things that are never looked at.
    Plain,
    Int(i64),
    /// UTF-8
    Text(Range<usize>),
    Bytes(Data),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A value that only this kind of file has.
    Own(W),
}

/// What one kind of file makes beside plain containers. The operands of each instruction are on the machine's stack, and its
/// result goes there.
pub(super) trait Words: Sized {
    /// The protocols of its pickles, in numbers and in words.
    const PROTOCOLS: (RangeInclusive<u8>, &'static str);

    /// The word for a global, by the places of its module and its name, which are UTF-8.
    fn global(machine: &mut Machine<'_, Self>, module: Range<usize>, name: Range<usize>) -> Result<(), Refusal>;

    /// The result of calling a global with a tuple of arguments.
    fn call(machine: &mut Machine<'_, Self>) -> Result<(), Refusal>;

    /// Gives the value below the top of the stack the content on top of it.
    fn build(machine: &mut Machine<'_, Self>) -> Result<(), Refusal>;

    /// What a persistent name stands for.
    fn persistent(_: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        Err(unknown(b'Q'))
    }

    /// An object of a class, before its content.
    fn object(_: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        Err(unknown(0x81))
    }
}

fn unknown(instruction: u8) -> Refusal {
    Refusal::Asks(format!("the instruction 0x{instruction:02x}"))
}

/// Runs the pickle in `bytes`, which it must be all of. → the values, and which of them is the result
pub(super) fn run<W: Words>(bytes: &[u8]) -> Result<(Values<W>, Id), Refusal> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Values::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        held: 0,
    };
    if machine.byte()? != 0x80 {
        return broken("it does not begin as a pickle does");
    }
    let (protocol, (known, written)) = (machine.byte()?, W::PROTOCOLS);
    if !known.contains(&protocol) {
        return broken(format!("pickle protocol {protocol}, where {written}"));
    }
    while machine.step()? {}
    if machine.at != bytes.len() {
        return broken("bytes stand behind its end");
    }
    let result = machine.pop()?;
    Ok((machine.values, result))
}

/// A refusal of what no pickler writes.
pub(super) fn broken<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(problem.into()))
}

/// A pickle being read.
pub(super) struct Machine<'a, W> {
    pub(super) bytes: &'a [u8],
    at: usize,
    pub(super) values: Values<W>,
    stack: Vec<Id>,
    /// Heights of the stack where marks stand.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// What the words count: bytes of arrays, attributes of modules.
    pub(super) held: usize,
}

impl<W: Words> Machine<'_, W> {
    /// Carries out one instruction; `false` after the last.
    fn step(&mut self) -> Result<bool, Refusal> {
        match self.byte()? {
            b'.' => return Ok(false),
            b'(' if self.marks.len() >= MOST => return broken(format!("it sets more than {MOST} marks")),
            b'(' => self.marks.push(self.stack.len()),
            0x95 => _ = self.take(8)?, // a frame: so many bytes could be read at once
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
            0x94 => self.memorise(self.memo.len() as u32)?,
            b'q' => self.length(1).and_then(|at| self.memorise(at as u32))?,
            b'r' => self.length(4).and_then(|at| self.memorise(at as u32))?,
            b'h' => self.length(1).and_then(|at| self.recall(at as u32))?,
            b'j' => self.length(4).and_then(|at| self.recall(at as u32))?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                W::global(self, module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (self.get(module), self.get(name)) else {
                    return broken("the name of a global is no text");
                };
                let (module, name) = (module.clone(), name.clone());
                W::global(self, module, name)?;
            }
            b'Q' => W::persistent(self)?,
            b'R' => W::call(self)?,
            0x81 => W::object(self)?,
            b'b' => W::build(self)?,
            other => return Err(unknown(other)),
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

    pub(super) fn push(&mut self, value: Value<W>) -> Result<(), Refusal> {
        if self.values.len() >= MOST {
            return broken(format!("it makes more than {MOST} values"));
        }
        self.values.push(value);
        self.push_id(self.values.len() as Id - 1)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), Refusal> {
        if self.stack.len() >= MOST {
            return broken(format!("it stacks more than {MOST} values"));
        }
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => broken("it takes a value that is not there"),
        }
    }

    /// The value on top of the stack, which stays there.
    pub(super) fn top(&self) -> Result<Id, Refusal> {
        self.stack.last().copied().map_or_else(|| broken("it uses a value that is not there"), Ok)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => broken("it goes back to a mark that is not there"),
        }
    }

    pub(super) fn get(&self, id: Id) -> &Value<W> {
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
}
