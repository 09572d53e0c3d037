//! Bytes as Python's pickler writes them, and bytes that it never would. Files of Paddle itself: `tests/it/paddle.rs`.

use std::sync::Arc;

use burn::tensor::DType;
use burn_store::bridge;

use super::super::pickle::Refusal;
use super::{opens, state_dict};

/// `{name: array}` in protocol 2, the data as Python 3 writes it there: as text.
fn protocol_2(name: &str, code: &str, shape: &[u8], fortran: bool, data: &[u8]) -> Vec<u8> {
    let text = |text: &str| {
        let mut out = vec![b'X'];
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
        out
    };
    let latin: String = data.iter().map(|byte| *byte as char).collect();
    [
        b"\x80\x02}(".to_vec(),
        text(name),
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85c_codecs\nencode\n".to_vec(),
        [text("b"), text("latin1")].concat(),
        b"\x86R\x87R(K\x01(".to_vec(),
        shape.iter().flat_map(|axis| [b'K', *axis]).collect(),
        b"tcnumpy\ndtype\n".to_vec(),
        text(code),
        b"\x89\x88\x87R(K\x03".to_vec(),
        text("<"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb".to_vec(),
        vec![if fortran { 0x88 } else { 0x89 }],
        b"c_codecs\nencode\n".to_vec(),
        [text(&latin), text("latin1")].concat(),
        b"\x86Rtbu.".to_vec(),
    ]
    .concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn refusal(bytes: &[u8]) -> String {
    match state_dict(bytes) {
        Ok(_) => panic!("was read"),
        Err(Refusal::Asks(what)) => format!("asks for {what}"),
        Err(Refusal::Broken(problem)) => problem,
        Err(Refusal::Read(error)) => error.to_string(),
    }
}

fn values(bytes: &[u8]) -> Vec<(String, Vec<usize>, DType, Vec<f32>)> {
    let file = Arc::new(bytes.to_vec());
    let read = |tensor: super::Tensor| {
        let (name, shape, dtype) = (tensor.name.clone(), tensor.shape.clone(), tensor.dtype);
        let data = bridge::into_data(tensor.packed(&file)).unwrap();
        (name, shape, dtype, data.convert::<f32>().try_into_vec::<f32>().unwrap())
    };
    state_dict(bytes).unwrap_or_else(|_| panic!("refused")).into_iter().map(read).collect()
}

#[test]
fn an_array_of_protocol_2_is_read_in_either_order() {
    let data: Vec<f32> = (0..6).map(|value| value as f32 - 2.5).collect();
    let expected = |values: Vec<f32>| vec![("w".to_owned(), vec![2, 3], DType::F32, values)];
    assert_eq!(values(&protocol_2("w", "f4", &[2, 3], false, &floats(&data))), expected(data.clone()));
    let turned = [data[0], data[2], data[4], data[1], data[3], data[5]].to_vec();
    assert_eq!(values(&protocol_2("w", "f4", &[2, 3], true, &floats(&data))), expected(turned));
    let halves = values(&protocol_2("w", "f2", &[2], false, &[0x00, 0x3c, 0x00, 0xc0]));
    assert_eq!(halves[0].3, [1.0, -2.0]);
    // 1.0 and -2.0 in bfloat16.
    let narrow = values(&protocol_2("w", "u2", &[2], false, &[0x80, 0x3f, 0x00, 0xc0]));
    assert_eq!((narrow[0].2, narrow[0].3.as_slice()), (DType::BF16, [1.0, -2.0].as_slice()));
}

#[test]
fn pickles_that_ask_for_more_are_refused_by_name() {
    let cases: [(&[u8], &str); 11] = [
        (b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.", "asks for `posix.system`"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "asks for `builtins.eval`"),
        (b"\x80\x04\x8c\x05numpy\x8c\x08fromfile\x93.", "asks for `numpy.fromfile`"),
        (b"\x80\x02(ios\nsystem\n.", "asks for the instruction 0x69"),
        (b"\x80\x02\x82\x01.", "asks for the instruction 0x82"),
        (b"\x80\x02cnumpy\ndtype\n)R.", "asks for a call of DType with other arguments"),
        (b"\x80\x02cnumpy\ndtype\n(X\x02\0\0\0O8\x89\x88tR.", "asks for numpy arrays of type `O8`"),
        (b"\x80\x02ccollections\nOrderedDict\n)R}b.", "it fills a value with what is no tuple"),
        (b"\x80\x05}.", "pickle protocol 5, where `paddle.save` writes 2 to 4"),
        (b"\x80\x02}(X\x01\0\0\0aK\x01u.", "`a` is no tensor"),
        (b"\x80\x02K\x01.", "what should be a dictionary is none"),
    ];
    for (pickle, expected) in cases {
        let refused = refusal(pickle);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn arrays_that_do_not_add_up_are_refused() {
    let refused = |shape: &[u8], data: &[u8]| refusal(&protocol_2("w", "f4", shape, false, data));
    assert!(refused(&[3], &[0; 8]).contains("an array of shape [3] and type F32 has 8 bytes"));
    assert!(refused(&[255; 20], &[0; 8]).contains("an array of shape [255, 255"), "no overflow");
    let mut twice = protocol_2("w", "f4", &[2], false, &[0; 8]);
    twice.truncate(twice.len() - 2);
    let second = protocol_2("w", "f4", &[2], false, &[0; 8]);
    twice.extend(&second[4..]);
    assert!(refusal(&twice).contains("`w` stands in it twice"));
    assert!(refusal(b"\x80\x02}.more").contains("bytes stand behind its end"));
}

#[test]
fn nothing_is_deep_or_long_enough_to_exhaust_memory() {
    let repeated = |piece: &[u8], count: usize| [b"\x80\x02".as_slice(), &piece.repeat(count), b"."].concat();
    assert!(refusal(&repeated(b"]", 1 << 21)).contains("more than 1048576 values"));
    assert!(refusal(&repeated(b"(", 1 << 21)).contains("more than 1048576 marks"));
    assert!(
        refusal(&[b"\x80\x02]q\0".as_slice(), &b"h\0".repeat(1 << 21), b"."].concat()).contains("stacks more than")
    );
    // A list in a list in a list …, and one that holds itself.
    assert_eq!(
        refusal(&[b"\x80\x02".as_slice(), &[b']'; 9999], &[b'a'; 9998], b"."].concat()),
        "what should be a dictionary is none"
    );
    assert_eq!(refusal(b"\x80\x02]q\0h\0a."), "what should be a dictionary is none");
}

#[test]
fn any_piece_and_any_change_of_a_file_is_an_error_or_a_state_dict() {
    let whole = protocol_2("weight", "f4", &[2, 3], false, &floats(&[1.0; 6]));
    assert!(opens(&whole));
    for length in 0..whole.len() {
        assert!(state_dict(&whole[..length]).is_err(), "a piece of {length} bytes");
    }
    for at in 0..whole.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            let _ = state_dict(&changed);
        }
    }
}
