//! What `torch.jit.save` writes: modules and tensors. What a pickle asks to be called is compared with words here; nothing
//! is called.

use std::ops::Range;

use burn::tensor::DType;

use super::super::pickle::Refusal;
use super::machine::{MOST, Machine, broken};

/// Axes of a tensor at most.
const AXES: usize = 64;
/// Bytes of the name of a storage at most.
const NAME: usize = 256;

/// The place of a value in the list of all.
pub(super) type Id = u32;

/// What a pickle holds. Text stays in its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `None`, fractions and containers whose content no tensor needs.
    Plain,
    Int(i64),
    /// UTF-8
    Text(Range<usize>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage {
        dtype: DType,
        key: String,
    },
    Tensor(Tensor),
    /// A module with its attributes.
    Object(Vec<(Id, Id)>),
}

/// What may be named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// A module's class: its code is in the archive, and stays there.
    Class,
    /// `torch._utils._rebuild_tensor_v2`
    Tensor,
    /// `collections.OrderedDict`, or a list of numbers.
    Container,
    /// The type of a storage.
    Storage(DType),
}

/// A tensor in a file of the archive.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) dtype: DType,
    /// Name of the file.
    pub(super) key: String,
    /// Where it begins, in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers from one place of an axis to the next.
    pub(super) strides: Vec<usize>,
}

impl Machine<'_> {
    pub(super) fn global(&mut self) -> Result<(), Refusal> {
        let (module, name) = (self.line()?, self.line()?);
        let (module, name) = (self.text_of(&module)?, self.text_of(&name)?);
        let global = match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::Tensor),
            ("collections", "OrderedDict") => Some(Global::Container),
            ("torch.jit._pickle", name) if name.starts_with("build_") => Some(Global::Container),
            ("torch", name) => super::dtype(name).map(Global::Storage),
            _ if module == "__torch__" || module.starts_with("__torch__.") => Some(Global::Class),
            _ => None,
        };
        if let Some(global) = global {
            return self.push(Value::Global(global));
        }
        let full: String = format!("{module}.{name}").chars().take(200).collect();
        Err(Refusal::Asks(format!("`{full}`")))
    }

    /// The storage of a persistent name: the word `storage`, its type, its file, where it was, how many numbers.
    pub(super) fn storage(&mut self) -> Result<(), Refusal> {
        let id = self.pop()?;
        let Value::Tuple(ids) = self.get(id) else { return broken("a persistent name in it is no tuple") };
        let parts: Vec<&Value> = ids.iter().take(6).map(|id| self.get(*id)).collect();
        let [Value::Text(_), Value::Global(Global::Storage(dtype)), Value::Text(key), ..] = parts[..] else {
            return broken("a persistent name in it is that of no storage");
        };
        if key.len() > NAME {
            return broken("the name of a storage has no end");
        }
        let (dtype, key) = (*dtype, self.text_of(key)?.to_owned());
        self.push(Value::Storage { dtype, key })
    }

    pub(super) fn call(&mut self) -> Result<(), Refusal> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Value::Tuple(ids)) = (self.get(callable), self.get(arguments)) else {
            return broken("it calls what is no global");
        };
        let made = match global {
            Global::Container => Value::Plain,
            Global::Tensor => {
                let arguments: Vec<&Value> = ids.iter().take(8).map(|id| self.get(*id)).collect();
                Value::Tensor(self.tensor(&arguments)?)
            }
            _ => return Err(Refusal::Asks(format!("a call of {global:?}"))),
        };
        self.push(made)
    }

    fn tensor(&self, arguments: &[&Value]) -> Result<Tensor, Refusal> {
        let [Value::Storage { dtype, key }, Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..] =
            arguments
        else {
            return broken("a tensor in it is none");
        };
        if shape.len() != strides.len() || shape.len() > AXES {
            return broken("the axes of a tensor do not fit its strides");
        }
        let number = |id: &Id| match self.get(*id) {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        };
        let numbers = |ids: &[Id]| ids.iter().map(number).collect::<Option<Vec<usize>>>();
        let (Ok(offset), Some(shape), Some(strides)) = (usize::try_from(*offset), numbers(shape), numbers(strides))
        else {
            return broken("the shape of a tensor is none");
        };
        Ok(Tensor { dtype: *dtype, key: key.clone(), offset, shape, strides })
    }

    /// A module without attributes.
    pub(super) fn object(&mut self) -> Result<(), Refusal> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        match (self.get(class), self.get(arguments)) {
            (Value::Global(Global::Class), Value::Tuple(ids)) if ids.is_empty() => self.push(Value::Object(Vec::new())),
            _ => broken("it makes an object of what is no module"),
        }
    }

    /// Gives the module below the top of the stack the attributes on top of it.
    pub(super) fn build(&mut self) -> Result<(), Refusal> {
        let content = self.pop()?;
        // An object with a state of its own kind, not a module, keeps nothing.
        let attributes = match self.get(content) {
            Value::Dict(attributes) => attributes.clone(),
            _ => Vec::new(),
        };
        self.held += attributes.len();
        if self.held > MOST {
            return broken("its modules hold too many attributes");
        }
        match self.top()? {
            Value::Object(filled) => *filled = attributes,
            _ => return broken("it fills what is no module"),
        }
        Ok(())
    }
}
