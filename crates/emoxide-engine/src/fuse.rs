//! Joins operations until as little memory as possible is passed over twice.

use emoxide_kernels::blocked::{Activation, Binary};

use crate::graph::{Affine, Graph, Node, Operation, Value};

impl Graph {
    /// Norms into convolutions, carried inputs and activations behind them.
    pub(crate) fn fused(mut self) -> Self {
        while self.join_one() {}
        self
    }

    /// Joins one `Combine` with its neighbour; whether there was one.
    fn join_one(&mut self) -> bool {
        (0..self.nodes.len()).any(|index| self.join_before(index) || self.join_behind(index) || self.join_swish(index))
    }

    /// Makes the `Combine` at `index` the end of what computes its source (or what it carries).
    fn join_before(&mut self, index: usize) -> bool {
        let Node { source, carried, target, .. } = self.nodes[index];
        let Operation::Combine { activation: next, .. } = &self.nodes[index].operation else { return false };
        let long = next.needs_pass();
        for (value, other) in
            [Some((source, carried)), carried.map(|carried| (carried, Some(source)))].into_iter().flatten()
        {
            // The other operand of a sum has to be scaled too, if there is a scale.
            let plain = matches!(self.nodes[index].operation, Operation::Combine { affine: None, .. });
            if self.readers(value) != 1 || (other.is_some() && !plain) {
                continue;
            }
            let Some(before) = self.producer(value) else { continue };
            if !accepts(&self.nodes[before], other.is_some(), !plain, long) {
                continue;
            }
            let Operation::Combine { affine, activation: next } = self.nodes.remove(index).operation else {
                unreachable!("checked above");
            };
            let mut node = self.nodes.remove(before);
            append(&mut node.operation, affine.as_ref(), next);
            node.carried = node.carried.or(other);
            node.target = target;
            // Where the `Combine` was: by then everything that it reads is computed.
            self.nodes.insert(index - 1, node);
            return true;
        }
        false
    }

    /// Moves a norm at `index` into the convolutions that read it.
    fn join_behind(&mut self, index: usize) -> bool {
        let Node { operation: Operation::Combine { affine: Some(affine), activation: Activation::Linear }, .. } =
            &self.nodes[index]
        else {
            return false;
        };
        let Node { source, carried: None, target, .. } = self.nodes[index] else { return false };
        let readers = self.readers(target);
        let fits = |node: &Node| {
            let Operation::Convolution { shape, outside, .. } = &node.operation else { return false };
            node.carried != Some(target) && outside.is_none() && (shape.padding == 0 || affine.is_invertible())
        };
        let reading: Vec<usize> = (0..self.nodes.len()).filter(|&node| self.nodes[node].source == target).collect();
        // One halo cannot hold two different values.
        let padded = |node: &Node| {
            node.source == source
                && matches!(&node.operation, Operation::Convolution { shape, .. } if shape.padding > 0)
        };
        if self.nodes.iter().any(padded)
            || reading.len() != readers
            || !reading.iter().all(|&node| fits(&self.nodes[node]))
        {
            return false;
        }
        let affine = affine.clone();
        for node in reading {
            prepend(&mut self.nodes[node].operation, &affine);
            self.nodes[node].source = source;
        }
        self.nodes.remove(index);
        true
    }

    /// Makes `x * sigmoid(factor * x)` at `index`, the product, one activation.
    fn join_swish(&mut self, index: usize) -> bool {
        let Node { operation: Operation::Elementwise(Binary::Mul), source, others, .. } = &self.nodes[index] else {
            return false;
        };
        let both = [(*source, others[0]), (others[0], *source)];
        let gate = |(x, gate): (Value, Value)| {
            let before = self.producer(gate)?;
            let Node { operation, source, carried: None, .. } = &self.nodes[before] else { return None };
            let Operation::Combine { affine, activation: Activation::Sigmoid } = operation else { return None };
            let factor = affine.as_ref().map_or(Some(1.0), Affine::factor)?;
            (*source == x && self.readers(gate) == 1).then_some((x, before, factor))
        };
        let Some((x, before, factor)) = both.into_iter().find_map(gate) else { return false };
        let operation = Operation::Combine { affine: None, activation: Activation::Swish(factor) };
        self.nodes[index] = Node { operation, source: x, carried: None, others: Vec::new(), ..self.nodes[index] };
        self.nodes.remove(before);
        true
    }
}

impl Affine {
    /// The number that it multiplies everything by, if it does nothing else.
    fn factor(&self) -> Option<f32> {
        let first = *self.scale.first()?;
        let same = |scale: &f32| scale.to_bits() == first.to_bits();
        let plain = self.shift.iter().all(|shift| *shift == 0.0) && self.scale.iter().all(same);
        plain.then_some(first)
    }

    /// Whether for every channel there is a value, of a size that sums bear, that it makes zero.
    fn is_invertible(&self) -> bool {
        self.scale.iter().zip(&self.shift).all(|(scale, shift)| (shift / scale).abs() < 1e6)
    }
}

/// Whether a `Combine` can become the end of the node, if it carries something, has a scale or a long activation.
fn accepts(node: &Node, carrying: bool, scaling: bool, long: bool) -> bool {
    let activation = match &node.operation {
        Operation::Convolution { activation, .. } if !long => activation,
        Operation::Combine { activation, .. } => activation,
        Operation::GroupNorm { activation, .. } if !carrying => activation,
        _ => return false,
    };
    *activation == Activation::Linear && !((carrying || scaling) && node.carried.is_some())
}

/// `next(affine(operation))`
fn append(operation: &mut Operation, affine: Option<&Affine>, next: Activation) {
    match operation {
        Operation::Convolution { weight, bias, activation, .. } => {
            if let Some(Affine { scale, shift }) = affine {
                let per_output = weight.len() / scale.len();
                for ((weights, bias), (scale, shift)) in
                    weight.chunks_mut(per_output).zip(bias).zip(scale.iter().zip(shift))
                {
                    for weight in weights {
                        *weight *= scale;
                    }
                    *bias = *bias * scale + shift;
                }
            }
            *activation = next;
        }
        Operation::Combine { affine: first, activation } | Operation::GroupNorm { affine: first, activation, .. } => {
            *first = match (first.take(), affine) {
                (Some(first), Some(second)) => Some(first.then(second)),
                (first, second) => first.or_else(|| second.cloned()),
            };
            *activation = next;
        }
        _ => unreachable!("`accepts` refuses the others"),
    }
}

impl Affine {
    fn then(&self, second: &Self) -> Self {
        let scale = self.scale.iter().zip(&second.scale).map(|(a, b)| a * b).collect();
        let shift = self.shift.iter().zip(second.scale.iter().zip(&second.shift));
        Self { scale, shift: shift.map(|(first, (scale, shift))| first * scale + shift).collect() }
    }
}

/// `convolution(affine(x))`: the scale goes to the weights, the shift to the bias. What lies outside of the map is zero
/// behind the norm, so before it, it is what the norm makes zero.
fn prepend(operation: &mut Operation, affine: &Affine) {
    let Operation::Convolution { shape, depthwise, weight, bias, outside, .. } = operation else {
        unreachable!("the caller checked");
    };
    let area = shape.kernel[0] * shape.kernel[1];
    let inputs = if *depthwise { 1 } else { shape.inputs };
    for (output, (weights, bias)) in weight.chunks_mut(inputs * area).zip(bias).enumerate() {
        let first = if *depthwise { output } else { 0 };
        let mut sum = 0.0f64;
        let factors = affine.scale[first..].iter().zip(&affine.shift[first..]);
        for (weights, (scale, shift)) in weights.chunks_mut(area).zip(factors) {
            sum += weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() * f64::from(*shift);
            for weight in weights {
                *weight *= scale;
            }
        }
        *bias += sum as f32;
    }
    if shape.padding > 0 {
        *outside = Some(affine.scale.iter().zip(&affine.shift).map(|(scale, shift)| -shift / scale).collect());
    }
}
