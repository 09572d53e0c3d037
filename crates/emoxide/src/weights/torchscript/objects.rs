//! What `torch.jit.save` writes: modules and tensors. What a pickle asks to be called is compared with words here; nothing
//! is called.

use std::ops::{Range, RangeInclusive};

use burn::tensor::DType;

use super::super::machine::{Id, MOST, Machine, Words, broken};
use super::super::pickle::Refusal;

/// Axes of a tensor at most.
const AXES: usize = 64;
/// Bytes of the name of a storage at most.
const NAME: usize = 256;

/// A value of the machine.
pub(super) type Value = super::super::machine::Value<Own>;

/// What a pickle of modules holds beside plain containers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Own {
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

impl Words for Own {
    const PROTOCOLS: (RangeInclusive<u8>, &'static str) = (2..=2, "`torch.jit.save` writes protocol 2");

    fn global(machine: &mut Machine<'_, Self>, module: Range<usize>, name: Range<usize>) -> Result<(), Refusal> {
        let [module, name] = [module, name].map(|range| String::from_utf8_lossy(&machine.bytes[range]));
        let global = match (&*module, &*name) {
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::Tensor),
            ("collections", "OrderedDict") => Some(Global::Container),
            ("torch.jit._pickle", name) if name.starts_with("build_") => Some(Global::Container),
            ("torch", name) => super::dtype(name).map(Global::Storage),
            (module, _) if module == "__torch__" || module.starts_with("__torch__.") => Some(Global::Class),
            _ => None,
        };
        if let Some(global) = global {
            return machine.push(Value::Own(Own::Global(global)));
        }
        let full: String = format!("{module}.{name}").chars().take(200).collect();
        Err(Refusal::Asks(format!("`{full}`")))
    }

    fn persistent(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let id = machine.pop()?;
        let Value::Tuple(ids) = machine.get(id) else { return broken("a persistent name in it is no tuple") };
        let parts: Vec<&Value> = ids.iter().take(6).map(|id| machine.get(*id)).collect();
        let [Value::Text(_), Value::Own(Own::Global(Global::Storage(dtype))), Value::Text(key), ..] = parts[..] else {
            return broken("a persistent name in it is that of no storage");
        };
        if key.len() > NAME {
            return broken("the name of a storage has no end");
        }
        let (dtype, key) = (*dtype, String::from_utf8_lossy(&machine.bytes[key.clone()]).into_owned());
        machine.push(Value::Own(Own::Storage { dtype, key }))
    }

    fn call(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let (arguments, callable) = (machine.pop()?, machine.pop()?);
        let (Value::Own(Own::Global(global)), Value::Tuple(ids)) = (machine.get(callable), machine.get(arguments))
        else {
            return broken("it calls what is no global");
        };
        let made = match global {
            Global::Container => Value::Plain,
            Global::Tensor => {
                let arguments: Vec<&Value> = ids.iter().take(8).map(|id| machine.get(*id)).collect();
                Value::Own(Own::Tensor(machine.tensor(&arguments)?))
            }
            _ => return Err(Refusal::Asks(format!("a call of {global:?}"))),
        };
        machine.push(made)
    }

    fn object(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let (arguments, class) = (machine.pop()?, machine.pop()?);
        match (machine.get(class), machine.get(arguments)) {
            (Value::Own(Own::Global(Global::Class)), Value::Tuple(ids)) if ids.is_empty() => {
                machine.push(Value::Own(Own::Object(Vec::new())))
            }
            _ => broken("it makes an object of what is no module"),
        }
    }

    fn build(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let content = machine.pop()?;
        // An object with a state of its own kind, not a module, keeps nothing.
        let attributes = match machine.get(content) {
            Value::Dict(attributes) => attributes.clone(),
            _ => Vec::new(),
        };
        machine.held += attributes.len();
        if machine.held > MOST {
            return broken("its modules hold too many attributes");
        }
        let module = machine.top()?;
        match &mut machine.values[module as usize] {
            Value::Own(Own::Object(filled)) => *filled = attributes,
            _ => return broken("it fills what is no module"),
        }
        Ok(())
    }
}

impl Machine<'_, Own> {
    fn tensor(&self, arguments: &[&Value]) -> Result<Tensor, Refusal> {
        let [
            Value::Own(Own::Storage { dtype, key }),
            Value::Int(offset),
            Value::Tuple(shape),
            Value::Tuple(strides),
            ..,
        ] = arguments
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
}
