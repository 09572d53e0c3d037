//! The faces that a model answered wrongly, as a picture: by their true class, the surest answers first.

use anyhow::Result;
use emoxide::image::RgbImage;
use emoxide::labels::Expression;
use emoxide::preprocess::Preprocess;
use emoxide_train::data::DataSet;
use emoxide_train::evaluate::{Evaluation, Mistake, Predictions, Subject};

use crate::annotate::colour;
use crate::sheet::{Group, Sheet, Tile};

const SIDE: u32 = 112;
const COLUMNS: usize = 8;

/// What was answered on the pictures of a data set.
pub(crate) struct Gallery<'a> {
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) predictions: &'a Predictions,
    pub(crate) data: &'a DataSet,
}

impl Gallery<'_> {
    /// The `count` surest of the wrong answers; none where every answer was right. Classes with more errors come first.
    pub(crate) fn draw(&self, preprocess: &Preprocess, count: usize) -> Result<Option<RgbImage>> {
        let mistakes = self.predictions.mistakes();
        if mistakes.is_empty() {
            return Ok(None);
        }
        let shown = &mistakes[..count.min(mistakes.len())];
        let mut labels: Vec<usize> = (0..self.predictions.classes.len()).collect();
        labels.sort_by_key(|label| std::cmp::Reverse(self.wrong(*label)));
        let mut groups = Vec::new();
        for label in labels {
            let of_label = || shown.iter().filter(|mistake| mistake.label == label);
            if of_label().next().is_some() {
                let tiles = of_label().map(|mistake| self.tile(mistake, preprocess)).collect::<Result<_>>()?;
                groups.push(Group { heading: Some(self.heading(label, of_label().count())), tiles });
            }
        }
        let Subject { model, data, split, protocol, .. } = &self.evaluation.subject;
        let (wrong, n) = (mistakes.len(), self.evaluation.n);
        let which = if shown.len() < wrong { format!("the {} surest", shown.len()) } else { "all".to_owned() };
        let sheet = Sheet {
            title: format!("Errors of {model} on {data} {split}"),
            notes: vec![
                format!("{wrong} of {n} faces wrong ({:.1} %), {which} shown", 100.0 * wrong as f64 / n as f64),
                protocol.clone(),
                "below each face: its class -> the answer, and the probability of the answer; colours likewise"
                    .to_owned(),
            ],
            legend: None,
            lead: None,
            groups,
            side: SIDE,
            columns: COLUMNS,
        };
        Ok(Some(sheet.draw()))
    }

    fn name(&self, class: usize) -> Expression {
        self.predictions.classes.as_slice()[class]
    }

    /// Faces of this class that got another answer.
    fn wrong(&self, label: usize) -> usize {
        let row = &self.evaluation.confusion[label];
        row.iter().sum::<usize>() - row[label]
    }

    /// What the faces of a class were taken for, the most frequent first.
    fn heading(&self, label: usize, shown: usize) -> String {
        let row = &self.evaluation.confusion[label];
        let others = row.iter().enumerate().filter(|(class, count)| *class != label && **count > 0);
        let mut others: Vec<(usize, usize)> = others.map(|(class, count)| (class, *count)).collect();
        others.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others: Vec<String> =
            others.iter().map(|(class, count)| format!("{} {count}", self.name(*class))).collect();
        let (name, wrong, total) = (self.name(label), self.wrong(label), row.iter().sum::<usize>());
        let shown = if shown < wrong { format!("; {shown} shown") } else { String::new() };
        format!("{name}: {wrong} of {total} wrong, taken for {}{shown}", others.join(", "))
    }

    fn tile(&self, mistake: &Mistake, preprocess: &Preprocess) -> Result<Tile> {
        let Mistake { image, label, predicted, probability } = *mistake;
        let names = [self.name(label), self.name(predicted)];
        Ok(Tile {
            image: preprocess.fit(&self.data.load_image(image)?).into_owned(),
            strip: names.map(|name| colour(Some(name))).to_vec(),
            captions: vec![format!("{} -> {}", names[0], names[1]), format!("{:.1} %", 100.0 * probability)],
        })
    }
}
