//! The objects that `paddle.save` writes: numpy arrays and their types, a few containers. What a pickle asks to be called
//! is compared with words here; nothing is called.

use std::ops::{Range, RangeInclusive};

use burn::tensor::DType;

use super::super::machine::{Data, Id, Machine, Words, broken};
use super::super::pickle::Refusal;
use super::values::{Array, GLOBALS, Global, Own, Value};

/// Axes of an array at most: numpy's own limit.
const AXES: usize = 64;
/// Arguments of a call, and parts of an object's content, that are looked at; none has more than nine.
const FIELDS: usize = 16;

impl Words for Own {
    const PROTOCOLS: (RangeInclusive<u8>, &'static str) = (2..=4, "`paddle.save` writes 2 to 4");

    fn global(machine: &mut Machine<'_, Self>, module: Range<usize>, name: Range<usize>) -> Result<(), Refusal> {
        let [module, name] = [module, name].map(|range| String::from_utf8_lossy(&machine.bytes[range]));
        let known = GLOBALS.iter().find(|(modules, known, _)| modules.contains(&&*module) && *known == name);
        let Some(&(_, _, global)) = known else {
            let full: String = format!("{module}.{name}").chars().take(200).collect();
            return Err(Refusal::Asks(format!("`{full}`")));
        };
        machine.push(Value::Own(Own::Global(global)))
    }

    fn call(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let (arguments, callable) = (machine.pop()?, machine.pop()?);
        let (Value::Own(Own::Global(global)), Value::Tuple(ids)) = (machine.get(callable), machine.get(arguments))
        else {
            return broken("it calls what is no global");
        };
        let global = *global;
        let arguments: Vec<&Value> = ids.iter().take(FIELDS).map(|id| machine.get(*id)).collect();
        let made = match (global, arguments.as_slice()) {
            (Global::Tuple, [Value::Tuple(_)]) => {
                let items = ids[0];
                return machine.push_id(items);
            }
            (
                Global::Reconstruct,
                [Value::Own(Own::Global(Global::NdArray)), Value::Tuple(_), Value::Bytes(_) | Value::Text(_)],
            ) => Value::Own(Own::Hollow),
            (Global::DType, [code, Value::Int(_), Value::Int(_)]) => Value::Own(Own::Type(machine.dtype(code)?)),
            (Global::Encode, [Value::Text(text), Value::Text(encoding)])
                if matches!(&machine.bytes[encoding.clone()], b"latin1" | b"latin-1") =>
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
        machine.push(made)
    }

    fn build(machine: &mut Machine<'_, Self>) -> Result<(), Refusal> {
        let content = machine.pop()?;
        let target = machine.top()?;
        let Value::Tuple(content) = machine.get(content) else {
            return broken("it fills a value with what is no tuple");
        };
        let content: Vec<&Value> = content.iter().take(FIELDS).map(|id| machine.get(*id)).collect();
        let filled = match (machine.get(target), content.as_slice()) {
            (Value::Own(Own::Type(dtype)), [Value::Int(_), order, Value::Plain, Value::Plain, Value::Plain, ..]) => {
                let (Value::Text(order) | Value::Bytes(Data { range: order, .. })) = order else {
                    return broken("the byte order of a numpy type is no text");
                };
                match &machine.bytes[order.clone()] {
                    b"<" | b"=" | b"|" => Value::Own(Own::LittleType(*dtype)),
                    _ => return Err(Refusal::Asks("numpy arrays in big-endian order".to_owned())),
                }
            }
            (
                Value::Own(Own::Hollow),
                [
                    Value::Int(_),
                    Value::Tuple(shape),
                    Value::Own(Own::LittleType(dtype)),
                    Value::Int(fortran),
                    Value::Bytes(data),
                ],
            ) => Value::Own(Own::Array(machine.array(shape, *dtype, *fortran != 0, data)?)),
            _ => return Err(Refusal::Asks("an object that is no numpy array".to_owned())),
        };
        if let Value::Own(Own::Array(array)) = &filled {
            // What arrays hold stands in the file once for each: so little can be asked of those who read them.
            machine.held += array.data.range.len();
            if machine.held > machine.bytes.len() {
                return broken("its arrays hold more than the file");
            }
        }
        machine.values[target as usize] = filled;
        Ok(())
    }
}

impl Machine<'_, Own> {
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
