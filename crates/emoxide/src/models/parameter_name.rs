/// Name of the parameter that a walk over a network's modules has come to: as in a checkpoint, fields joined by dots, without the
/// variants of enums.
#[derive(Clone, Debug, Default)]
pub struct ParameterName(Vec<String>);

impl ParameterName {
    /// The walk comes to a field `name` of a module of this kind; the arguments of Burn's `enter_module`.
    pub fn enter(&mut self, name: &str, container: &str) {
        if !is_enum(container) {
            self.0.push(name.to_owned());
        }
    }

    /// It leaves the field again; the argument of Burn's `exit_module`.
    pub fn exit(&mut self, container: &str) {
        if !is_enum(container) {
            self.0.pop();
        }
    }

    /// The last field.
    pub fn leaf(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The whole name.
    pub fn joined(&self) -> String {
        self.0.join(".")
    }
}

fn is_enum(container: &str) -> bool {
    container.starts_with("Enum:")
}
