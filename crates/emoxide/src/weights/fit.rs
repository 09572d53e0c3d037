//! A tensor of a file in the shape of its place: turned, summed over colours, resampled, or refused.

use burn::tensor::DType;
use burn_store::bridge;
use burn_store::burn_pack::Tensor as Packed;

use super::convert::{Alignment, Grid};
use super::fill::{Filled, Filling, Place};
use super::keys::LinearLayout;
use super::start::StemWeights;
use super::{WeightsError, convert};

impl Filling<'_> {
    /// The values for a place in the network's order; `None` where the network keeps its own.
    pub(super) fn fit(
        &self,
        name: &str,
        tensor: Packed,
        place: &Place,
        filled: &mut Filled,
    ) -> Result<Option<Vec<f32>>, WeightsError> {
        if !matches!(tensor.dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
            return Err(self.unfit(name, format!("holds {:?}, floats are needed", tensor.dtype)));
        }
        let turned = place.linear && self.linear == LinearLayout::OutputsInputs;
        let mut expected = place.shape.clone();
        if turned {
            expected.reverse();
        }
        let found = tensor.shape.to_vec();
        if found == expected {
            let values = self.values(name, tensor)?;
            let values = if turned { convert::transpose(&values, expected[0], expected[1]) } else { values };
            return Ok(Some(values));
        }
        match (self.adapt, found.as_slice(), expected.as_slice()) {
            (Some(stem), [outputs, 3, area @ ..], [same, 1, size @ ..])
                if outputs == same && area == size && area.len() == 2 =>
            {
                if stem == StemWeights::Draw {
                    filled.changes.push(format!("`{name}` drawn: the file's is for colour, the network's for grey"));
                    return Ok(None);
                }
                filled.changes.push(format!("`{name}` summed over red, green and blue"));
                Ok(Some(convert::sum_rgb(&self.values(name, tensor)?, area.iter().product())))
            }
            // Positions of places; those of PCM are of branches.
            (Some(_), [1, from, width], [1, to, same])
                if width == same && name.ends_with("pos_embed") && !name.starts_with("msh.") =>
            {
                let grids = (Grid::of(*from), Grid::of(*to));
                let (Some(from), Some(to)) = grids else { return Err(self.misshapen(name, expected, found)) };
                if to.class && !from.class {
                    return Err(self.misshapen(name, expected, found));
                }
                let sides = [from.side, to.side];
                if sides[0] != sides[1] {
                    let [from, to] = sides;
                    filled.changes.push(format!("`{name}` resampled from {from}x{from} to {to}x{to} places"));
                }
                if from.class && !to.class {
                    filled.changes.push(format!("left out the class token's place in `{name}`"));
                }
                let corners = self.config.keeps_corners();
                let alignment = if corners { Alignment::Corners } else { Alignment::Edges };
                Ok(Some(convert::resample_positions(&self.values(name, tensor)?, [from, to], *width, alignment)))
            }
            _ => Err(self.misshapen(name, expected, found)),
        }
    }

    fn misshapen(&self, name: &str, expected: Vec<usize>, found: Vec<usize>) -> WeightsError {
        WeightsError::Shape { path: self.path.into(), name: name.into(), expected, found }
    }

    /// The tensor in single precision; every value is finite.
    fn values(&self, name: &str, tensor: Packed) -> Result<Vec<f32>, WeightsError> {
        let data = bridge::into_data(tensor).map_err(|error| self.unfit(name, error.to_string()))?;
        let values = data.convert::<f32>().try_into_vec::<f32>();
        let values = values.map_err(|error| self.unfit(name, format!("{error:?}")))?;
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(self.unfit(name, "holds values that are not finite".to_owned()))
    }

    pub(super) fn unfit(&self, name: &str, problem: String) -> WeightsError {
        WeightsError::Tensor { path: self.path.to_owned(), name: name.to_owned(), problem }
    }
}
