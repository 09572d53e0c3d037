use safetensors::{Dtype, SafeTensors};

/// Says which tensor of a weight file holds anything but finite 32-bit floats, if one does; the first by name.
pub(crate) fn unfit_tensor(file: &SafeTensors<'_>) -> Option<String> {
    let mut tensors = file.tensors();
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    tensors.iter().find_map(|(name, view)| {
        if view.dtype() != Dtype::F32 {
            return Some(format!("`{name}` holds {}, 32-bit floats are needed", view.dtype()));
        }
        let (values, _) = view.data().as_chunks::<4>();
        let finite = values.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite());
        (!finite).then(|| format!("`{name}` holds values that are not finite"))
    })
}
