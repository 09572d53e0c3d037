//! From the tensors of a file to the parameters of a network. Everything that is asked for is filled and everything in
//! the file has a place, or nothing is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use burn_store::burn_pack::Tensor as Packed;
use burn_store::{ModuleSnapshot, bridge};

use super::arrange::arrange;
use super::keys::{KeyMap, LinearLayout, Renamer};
use super::start::StemWeights;
use super::{Head, WeightsError};
use crate::models::{Network, NetworkConfig, ParameterName};

/// How one file fills a network.
pub(super) struct Filling<'a> {
    pub(super) path: &'a Path,
    pub(super) config: &'a NetworkConfig,
    pub(super) map: &'a KeyMap,
    /// What the authors' names become in this network.
    pub(super) spelling: &'a [(&'static str, &'static str)],
    /// As the file stores linear layers.
    pub(super) linear: LinearLayout,
    /// How names of the file's own head start, beside what the key map says.
    pub(super) file_head: &'a [&'a str],
    pub(super) head: Head,
    /// The part of the network that is filled; absent: all of it.
    pub(super) part: Option<&'a str>,
    /// Parts that other files fill.
    pub(super) others: &'a [&'a str],
    /// For a start of training, which may leave out what is deeper than the network and adapt stem and positions.
    /// Absent: what does not fit exactly is refused.
    pub(super) adapt: Option<StemWeights>,
}

/// What became of a file's tensors.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// How many were taken.
    pub(super) tensors: usize,
    /// What was done beside copying, in words.
    pub(super) changes: Vec<String>,
}

/// A tensor of the network: its shape, and whether it is the weight of a linear layer, which lies `[inputs, outputs]`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) shape: Vec<usize>,
    pub(super) linear: bool,
}

/// Gathers the places of a network by name.
#[derive(Default)]
pub(super) struct Places {
    name: ParameterName,
    linear: bool,
    pub(super) found: BTreeMap<String, Place>,
}

impl Places {
    /// Refuses a part that the network has not: one that nothing is `asked_for` of.
    pub(super) fn check_part(&self, part: Option<&str>, asked_for: impl Fn(&str) -> bool) -> Result<(), WeightsError> {
        if self.found.keys().any(|name| asked_for(name)) {
            return Ok(());
        }
        let part = part.unwrap_or_default().to_owned();
        let parts: BTreeSet<&str> = self.found.keys().filter_map(|name| name.split('.').next()).collect();
        Err(WeightsError::Part { part, known: parts.into_iter().collect::<Vec<_>>().join(", ") })
    }
}

impl ModuleVisitor for Places {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.name.enter(name, container);
        self.linear = container == "Struct:Linear";
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.name.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let place = Place { shape: param.lazy_shape().to_vec(), linear: self.linear && D == 2 };
        self.found.insert(self.name.joined(), place);
    }
}

/// A file's tensors under the network's names, and the file's name of each.
type Named = BTreeMap<String, (String, Packed)>;

impl Filling<'_> {
    /// Gives `network` the values of `tensors`.
    pub(super) fn fill(&self, network: &mut Network, tensors: Vec<Packed>) -> Result<Filled, WeightsError> {
        let mut places = Places::default();
        network.visit(&mut places);
        places.check_part(self.part, |name| self.is_asked_for(name))?;
        let places = places.found;

        let mut filled = Filled::default();
        let named = self.name(&places, arrange(self.map, tensors, self.path)?, &mut filled)?;
        let known: BTreeSet<String> = named.keys().cloned().collect();
        let mut fitting = Vec::with_capacity(named.len());
        for (name, (_, tensor)) in named {
            if let Some(values) = self.fit(&name, tensor, &places[&name], &mut filled)? {
                let shape = places[&name].shape.clone();
                fitting.push(bridge::from_data(TensorData::new(values, shape), name, None));
            }
        }
        let wanted = |name: &&String| self.is_asked_for(name) && !self.leaves(name) && !known.contains(*name);
        let missing: Vec<&String> = places.keys().filter(wanted).collect();
        if let Some(first) = missing.first() {
            let (path, first) = (self.path.to_owned(), (*first).clone());
            return Err(WeightsError::Missing { path, first, count: missing.len() });
        }
        filled.tensors = fitting.len();
        match network.apply(fitting, None, None, true).errors.into_iter().next() {
            Some(error) => Err(self.unfit("the network", error.to_string())),
            None => Ok(filled),
        }
    }

    fn is_asked_for(&self, name: &str) -> bool {
        self.part.is_none_or(|part| is_below(name, part)) && !self.others.iter().any(|part| is_below(name, part))
    }

    /// Whether the network's tensor `name` is of its head and keeps what it has.
    fn leaves(&self, name: &str) -> bool {
        let is_head = |name: &str| self.config.head().iter().any(|prefix| name.starts_with(prefix));
        self.head == Head::Drop && is_head(name) && !self.part.is_some_and(|part| is_head(&format!("{part}.")))
    }

    /// Finds the place of every tensor; those that may be left out are.
    fn name(
        &self,
        places: &BTreeMap<String, Place>,
        tensors: Vec<Packed>,
        filled: &mut Filled,
    ) -> Result<Named, WeightsError> {
        let renamer = Renamer::new(self.map, self.config.units(), self.spelling);
        let parallel = tensors.iter().all(|tensor| tensor.name.starts_with("module."));
        let key = |tensor: &Packed| tensor.name[if parallel { "module.".len() } else { 0 }..].to_owned();
        let spelt = |tensor: &Packed| renamer.spell(&renamer.rename(&key(tensor)));
        // A file for a part alone has names without it; one of a whole network names the part, and the rest stays out.
        let whole = self.part.is_none_or(|part| tensors.iter().any(|tensor| is_below(&spelt(tensor), part)));

        let (mut named, mut deeper, mut later) = (Named::new(), BTreeMap::new(), Vec::new());
        let (mut unexpected, mut outside) = (Vec::new(), 0);
        for tensor in tensors {
            let key = key(&tensor);
            if renamer.ignores(&key) {
                continue;
            }
            let authors = renamer.rename(&key);
            let name = match self.part {
                Some(part) if !whole => renamer.spell(&format!("{part}.{authors}")),
                _ => renamer.spell(&authors),
            };
            let head_of_file = || renamer.is_head(&key) || self.file_head.iter().any(|head| authors.starts_with(head));
            if self.leaves(&name) {
                continue;
            }
            if self.adapt.is_some() && !self.is_asked_for(&name) {
                outside += 1;
            } else if self.is_asked_for(&name) && places.contains_key(&name) {
                let source = tensor.name.clone();
                if let Some((first, _)) = named.insert(name.clone(), (source.clone(), tensor)) {
                    return Err(WeightsError::Twice { path: self.path.to_owned(), name, first, second: source });
                }
            } else if self.head == Head::Drop && head_of_file() && !self.has_module(&name, places) {
                // It goes with the head, of which the network has nothing.
            } else if self.adapt.is_some() && renamer.is_later_stage(&authors) {
                later.push(tensor.name);
            } else if self.adapt.is_some() && self.is_deeper(&name, places) {
                deeper.insert(name, tensor.name);
            } else {
                unexpected.push((name, tensor.name));
            }
        }
        unexpected.extend(self.open_boundary(&deeper, places));
        if let Some((name, first)) = unexpected.first() {
            let (path, first, part) = (self.path.to_owned(), first.clone(), self.part_with(name, places));
            return Err(WeightsError::Unexpected { path, first, count: unexpected.len(), part });
        }
        later.extend(deeper.into_values());
        if let Some(first) = later.first() {
            filled.changes.push(format!("left out {} tensors of a deeper network, from `{first}` on", later.len()));
        }
        if outside > 0 {
            filled.changes.push(format!("left out {outside} tensors of other parts"));
        }
        Ok(named)
    }

    /// Whether the network, or its part, has the module that `name` begins with.
    fn has_module(&self, name: &str, places: &BTreeMap<String, Place>) -> bool {
        let depth = self.part.map_or(1, |part| part.split('.').count() + 1);
        places.keys().any(|place| place.split('.').take(depth).eq(name.split('.').take(depth)))
    }

    /// For a start without a part: the part of the network that has a place for `name`.
    fn part_with(&self, name: &str, places: &BTreeMap<String, Place>) -> Option<String> {
        let parts = places.keys().filter_map(|place| place.strip_suffix(name)?.strip_suffix('.'));
        let starts = self.adapt.is_some() && self.part.is_none();
        parts.into_iter().find(|part| starts && !part.contains('.')).map(str::to_owned)
    }

    /// Whether `name` is of a list that the key map lets end earlier in the network than in the file.
    fn is_deeper(&self, name: &str, places: &BTreeMap<String, Place>) -> bool {
        self.map.deeper.iter().any(|deeper| {
            entry(name, deeper.list).is_some_and(|(list, index, _)| {
                let count = entries(list, places);
                count > 0 && index >= count
            })
        })
    }

    /// Of the tensors left out, those of a list that ends in the network where it must not: the network's names and the
    /// file's.
    fn open_boundary(
        &self,
        deeper: &BTreeMap<String, String>,
        places: &BTreeMap<String, Place>,
    ) -> Vec<(String, String)> {
        let mut open = Vec::new();
        for (list, boundary) in self.map.deeper.iter().filter_map(|deeper| Some((deeper.list, deeper.boundary?))) {
            let left: Vec<_> =
                deeper.iter().filter_map(|(name, source)| Some((entry(name, list)?, name, source))).collect();
            let opens =
                |(list, index, rest): (&str, usize, &str)| index == entries(list, places) && rest.starts_with(boundary);
            if !left.iter().any(|(entry, ..)| opens(*entry)) {
                open.extend(left.into_iter().map(|(_, name, source)| (name.clone(), source.clone())));
            }
        }
        open
    }
}

/// Whether `name` is that of `part` or of something in it.
pub(super) fn is_below(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Of a name in the numbered list `list`: the list with all that stands before it, the number, and the rest.
fn entry<'a>(name: &'a str, list: &str) -> Option<(&'a str, usize, &'a str)> {
    let at = if name.starts_with(list) { 0 } else { name.find(&format!(".{list}."))? + 1 };
    let end = at + list.len();
    let (number, rest) = name[end..].strip_prefix('.')?.split_once('.')?;
    Some((&name[..end], number.parse().ok()?, rest))
}

/// How many entries the network has in a list.
fn entries(list: &str, places: &BTreeMap<String, Place>) -> usize {
    let number = |name: &String| name.strip_prefix(list)?.strip_prefix('.')?.split('.').next()?.parse::<usize>().ok();
    places.keys().filter_map(number).max().map_or(0, |last| last + 1)
}
