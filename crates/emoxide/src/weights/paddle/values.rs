//! What a pickle of Paddle is made of. Values lie in one list and refer to each other by their place in it, so that no
//! nesting is too deep; text and data stay in the file's bytes.

use std::ops::Range;

use burn::tensor::DType;

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
