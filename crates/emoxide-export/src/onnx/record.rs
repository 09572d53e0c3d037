//! What a network does, as Burn records it with batches of several sizes, and what follows from that for all sizes.

use std::collections::{BTreeMap, HashMap};

use burn::backend::capture::CaptureBackend;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{CapturedGraph, Device, Tensor, TensorData, TensorId};
use burn_ir::OperationIr;
use emoxide::models::{Classifier, Network, ParameterName};
use emoxide::zoo::Model;

use super::form::{form, name, tensors};
use crate::ExportError;

/// Images of the recordings. A size that is the same in all of them is fixed; one that is a multiple of the batch in all of them
/// is a multiple of the batch. Nothing else is taken for understood.
type Batches = [usize; 3];

/// Batches that are tried, in this order. Burn has two forms of a linear layer, with the images of a batch one behind the other or
/// side by side, and prefers one of them up to a size of the batch that depends on the layer. Either is right for all sizes, but
/// recordings of different forms cannot be held against each other.
const TRIED: [Batches; 4] = [[2, 3, 7], [3, 5, 7], [5, 7, 11], [11, 13, 17]];

/// The size of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// The same whatever the batch.
    Fixed(usize),
    /// So many times the batch.
    Images(usize),
}

impl Size {
    /// What sizes in the recordings say, if they say something.
    fn of(found: [usize; 3], batches: Batches) -> Option<Self> {
        if found.iter().all(|&size| size == found[0]) {
            return Some(Self::Fixed(found[0]));
        }
        let times = found[0] / batches[0];
        let multiple = found.iter().zip(batches).all(|(&size, batch)| size == times * batch);
        (multiple && times > 0).then_some(Self::Images(times))
    }
}

/// A network's recorded graph, for a batch of any size.
pub(super) struct Recording {
    /// Every operation as it is in each of the recordings; tensors are called by what the first one calls them.
    pub(super) operations: Vec<[OperationIr; 3]>,
    pub(super) input: TensorId,
    pub(super) output: TensorId,
    /// Values of constants.
    pub(super) values: BTreeMap<TensorId, TensorData>,
    /// Which of them are parameters, by name.
    pub(super) names: HashMap<TensorId, String>,
    /// Shapes of all tensors.
    pub(super) shapes: HashMap<TensorId, Vec<Size>>,
    batches: Batches,
}

impl Recording {
    /// Records what a model answers to preprocessed images: its logits, with the mirror image if its card says so.
    pub(super) fn new(model: &Model) -> Result<Self, ExportError> {
        let mut tried = TRIED.into_iter().map(|batches| Self::of(model, batches));
        // Where none agree, the first disagreement is the one with the smallest numbers.
        let first = tried.next().expect("there are some");
        match first {
            Err(ExportError::Batch { .. }) => tried.find(Result::is_ok).unwrap_or(first),
            first => first,
        }
    }

    fn of(model: &Model, batches: Batches) -> Result<Self, ExportError> {
        let [first, second, third] = batches;
        let others = [lean(record(model, second)?), lean(record(model, third)?)];
        let (first, names) = record(model, first)?;
        let mut recording = Self {
            operations: Vec::new(),
            input: first.graph.inputs[0],
            output: first.graph.outputs[0],
            values: BTreeMap::new(),
            names,
            shapes: HashMap::new(),
            batches,
        };
        recording.align(&first, &others)?;
        recording.values = first.values;
        Ok(recording)
    }

    /// Holds the recordings against each other, operation by operation.
    fn align(&mut self, first: &CapturedGraph, others: &[CapturedGraph; 2]) -> Result<(), ExportError> {
        let steps = |graph: &CapturedGraph| -> Vec<OperationIr> {
            let silent = |operation: &&OperationIr| !matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_));
            graph.graph.operations.iter().filter(silent).cloned().collect()
        };
        let [one, two, three] = [steps(first), steps(&others[0]), steps(&others[1])];
        if [two.len(), three.len()] != [one.len(); 2] {
            let reason = format!("{} operations, {} and {}", one.len(), two.len(), three.len());
            return Err(ExportError::Batch { step: one.len(), operation: "end".to_owned(), reason });
        }
        let mut called: [HashMap<TensorId, TensorId>; 2] = [HashMap::new(), HashMap::new()];
        for (step, operations) in one.into_iter().zip(two).zip(three).enumerate() {
            let ((one, two), three) = operations;
            let operations = [one, two, three];
            let problem = self.compare(&operations, &mut called, first, others).err();
            if let Some(reason) = problem {
                return Err(ExportError::Batch { step, operation: name(&operations[0]), reason });
            }
            self.operations.push(operations);
        }
        Ok(())
    }

    /// Whether an operation is the same in all recordings but for sizes that [`Size`] explains.
    fn compare(
        &mut self,
        operations: &[OperationIr; 3],
        called: &mut [HashMap<TensorId, TensorId>; 2],
        first: &CapturedGraph,
        others: &[CapturedGraph; 2],
    ) -> Result<(), String> {
        let forms = operations.each_ref().map(form);
        if forms.iter().any(|form| *form != forms[0]) {
            return Err("its settings differ".to_owned());
        }
        let tensors = operations.each_ref().map(tensors);
        if tensors.iter().any(|found| found.len() != tensors[0].len()) {
            return Err("it has other operands".to_owned());
        }
        for (place, tensor) in tensors[0].iter().enumerate() {
            let same = tensors.each_ref().map(|tensors| tensors[place]);
            for ((called, other), graph) in called.iter_mut().zip(&same[1..]).zip(others) {
                if *called.entry(tensor.id).or_insert(other.id) != other.id {
                    return Err("it reads other tensors".to_owned());
                }
                // Of parameters the second value was dropped: they are the network's.
                let constants = (first.values.get(&tensor.id), graph.values.get(&other.id));
                if let (Some(one), Some(other)) = constants
                    && !self.names.contains_key(&tensor.id)
                    && tensor.id != self.input
                    && one != other
                {
                    return Err("it reads constants that differ".to_owned());
                }
            }
            let shapes = same.map(|tensor| tensor.shape.to_vec());
            if shapes.iter().any(|shape| shape.len() != shapes[0].len()) {
                return Err("tensors have other axes".to_owned());
            }
            let sizes =
                (0..shapes[0].len()).map(|axis| Size::of([0, 1, 2].map(|one: usize| shapes[one][axis]), self.batches));
            let sizes = sizes.collect::<Option<Vec<_>>>();
            let sizes = sizes.ok_or_else(|| format!("with {:?} images shapes are {shapes:?}", self.batches))?;
            self.shapes.insert(tensor.id, sizes);
        }
        Ok(())
    }
}

/// A recording without the values of parameters, which are the network's in every one.
fn lean((mut graph, names): (CapturedGraph, HashMap<TensorId, String>)) -> CapturedGraph {
    graph.values.retain(|id, _| !names.contains_key(id));
    graph
}

/// A recording of a batch, and the names of the parameters in it.
fn record(model: &Model, batch: usize) -> Result<(CapturedGraph, HashMap<TensorId, String>), ExportError> {
    let device = Device::capture();
    let [channels, rows, cols] = model.card().preprocess.input();
    let mut names = Names::default();
    let graph = device.capture_scope(|scope| {
        // A clone would share its running statistics with the network, and take them along.
        let network: Network = model.network().valid().to_device(&device);
        network.visit(&mut names);
        // From data, not from an operation, otherwise it would be a constant of the graph.
        let zeros = vec![0.0f32; batch * channels * rows * cols];
        let images = Tensor::<4>::from_data(TensorData::new(zeros, [batch, channels, rows, cols]), &device);
        let input = id(&images);
        let logits = if model.card().mirror {
            (network.forward(images.clone()) + network.forward(images.flip([3]))) * 0.5
        } else {
            network.forward(images)
        };
        scope.complete([input], [id(&logits)])
    });
    Ok((graph.map_err(ExportError::Capture)?, names.found))
}

fn id<const D: usize>(tensor: &Tensor<D>) -> TensorId {
    let recorded = tensor.clone().try_into_primitive::<CaptureBackend>();
    recorded.expect("a tensor of the recording device").id()
}

/// Gathers the names of parameters.
#[derive(Default)]
struct Names {
    name: ParameterName,
    found: HashMap<TensorId, String>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.name.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.name.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(id(&param.val()), self.name.joined());
    }
}
