//! What a pickle of Paddle is made of.

use burn::tensor::DType;

use super::super::machine::Data;

/// A value of the machine.
pub(super) type Value = super::super::machine::Value<Own>;

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

/// Modules, name and word of every global that is known.
pub(super) const GLOBALS: &[(&[&str], &str, Global)] = &[
    (&["numpy.core.multiarray", "numpy._core.multiarray"], "_reconstruct", Global::Reconstruct),
    (&["numpy"], "ndarray", Global::NdArray),
    (&["numpy"], "dtype", Global::DType),
    (&["_codecs"], "encode", Global::Encode),
    (&["builtins", "__builtin__"], "tuple", Global::Tuple),
    (&["builtins", "__builtin__"], "bytes", Global::Bytes),
    (&["collections"], "OrderedDict", Global::OrderedDict),
];

/// A numpy array, whose data has the length that its type and shape say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    /// Whether the first axis is the one that changes fastest.
    pub(super) fortran: bool,
    pub(super) data: Data,
}

/// What a pickle of Paddle holds beside plain containers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Own {
    Global(Global),
    /// A numpy type; its byte order follows.
    Type(DType),
    /// A numpy type in little-endian order.
    LittleType(DType),
    /// An array before its content.
    Hollow,
    Array(Array),
}
