//! What the arguments of the attributes mean: names are looked up in the one table of options, values are
//! handed to its checks.

use pipewright_spec::{
    model::{Door, Given, Kind, Name},
    options::{
        Key, KeyInfo, PIPELINE_KEYS, PipelineOptions, RawField, RawValue, STAGE_KEYS, StageOptions,
        ValueType, find, find_pipeline,
    },
    suggest,
};
use proc_macro2::Span;
use syn::{Expr, ExprLit, ExprPath, ExprUnary, Lit, PathArguments, Type, UnOp, spanned::Spanned};

use crate::{
    attr::{Arg, Value},
    errors::Errors,
    item::plain,
    place::Place,
};

/// The arguments of `#[stage]`, `#[source]` or `#[sink]`.
#[derive(Default)]
pub(crate) struct StageArgs {
    /// What it reads.
    pub(crate) from: Vec<Door<Place>>,
    /// Where `from` itself stands.
    pub(crate) from_key: Option<Span>,
    /// Numbers and words.
    pub(crate) options: StageOptions<Place>,
    /// `key = ..`
    pub(crate) key: Option<Expr>,
    /// `state = ..`
    pub(crate) state: Option<Expr>,
    /// `prefetch = ..`, where it is code.
    pub(crate) prefetch: Option<Expr>,
}

/// The arguments of `#[pipeline]` behind the path.
#[derive(Default)]
pub(crate) struct PipelineArgs {
    /// Numbers and words.
    pub(crate) options: PipelineOptions<Place>,
    /// `env = ..`
    pub(crate) env: Option<Type>,
}

/// Reads the arguments of a stage.
pub(crate) fn stage(kind: Kind, args: Vec<Arg>, errors: &mut Errors) -> StageArgs {
    let mut read = StageArgs::default();
    for arg in args {
        match find(&arg.key) {
            Some(info) => read.take(info, arg, errors),
            None => unknown(&format!("#[{kind}]"), &arg, stage_keys(kind), errors),
        }
    }
    read
}

/// Reads the arguments of a pipeline.
pub(crate) fn pipeline(args: Vec<Arg>, errors: &mut Errors) -> PipelineArgs {
    let mut read = PipelineArgs::default();
    for arg in args {
        match find_pipeline(&arg.key) {
            Some(info) => read.take(info, arg, errors),
            None => unknown("#[pipeline]", &arg, PIPELINE_KEYS.iter(), errors),
        }
    }
    read
}

/// The keys that are worth suggesting for a kind of stage.
fn stage_keys(kind: Kind) -> impl Iterator<Item = &'static KeyInfo> + Clone {
    STAGE_KEYS
        .iter()
        .filter(move |key| key.applies_to(kind) && key.key != Key::Run)
}

/// Reports an unknown option.
fn unknown(
    what: &str,
    arg: &Arg,
    keys: impl Iterator<Item = &'static KeyInfo> + Clone,
    errors: &mut Errors,
) {
    errors
        .at(
            "E_UNKNOWN_KEY",
            arg.span,
            format!("`{what}` has no option `{}`", arg.key),
        )
        .help(suggest::option(&arg.key, keys.map(|key| key.name)));
}

impl StageArgs {
    fn take(&mut self, info: &KeyInfo, arg: Arg, errors: &mut Errors) {
        match info.key {
            Key::From => {
                self.from_key = Some(arg.span);
                self.from = doors(&arg, errors);
            }
            Key::Run => {
                errors
                    .at("E_RON_ONLY", arg.span, "`run` is for RON, where a stage can be named differently from its function")
                    .help("take it away; a stage is called like its function");
            }
            _ => {
                let (raw, place) = (raw(info, &arg), arg.value_span().into());
                let is_code = matches!(raw, RawValue::Code);
                if let Err(problems) = self.options.set(info, raw, arg.span.into(), place) {
                    errors.extend(problems);
                    return;
                }
                match (info.key, arg.value) {
                    (Key::Key, Value::Expr(code)) => self.key = Some(*code),
                    (Key::State, Value::Expr(code)) => self.state = Some(*code),
                    (Key::Prefetch, Value::Expr(code)) if is_code => self.prefetch = Some(*code),
                    _ => {}
                }
            }
        }
    }
}

impl PipelineArgs {
    fn take(&mut self, info: &KeyInfo, arg: Arg, errors: &mut Errors) {
        match info.key {
            Key::Reply => {
                let mut doors = doors(&arg, errors).into_iter();
                if let (Some(door), Some(_)) = (doors.clone().next(), doors.clone().nth(1)) {
                    errors
                        .at(
                            "E_REPLY_LIST",
                            arg.value_span(),
                            "a call is answered by one stage",
                        )
                        .help(format!("write `reply = {}`", door.stage.text));
                }
                if let Some(door) = doors.next() {
                    self.options.reply = Some(Given {
                        value: door,
                        key: arg.span.into(),
                        place: arg.value_span().into(),
                    });
                }
            }
            Key::Env => self.take_env(arg, errors),
            _ => {
                let (raw, place) = (raw(info, &arg), arg.value_span().into());
                if let Err(problems) = self.options.set(info, raw, arg.span.into(), place) {
                    errors.extend(problems);
                }
            }
        }
    }

    fn take_env(&mut self, arg: Arg, errors: &mut Errors) {
        match &arg.value {
            Value::Type(ty) => {
                self.options.env = Some(arg.span.into());
                self.env = Some((**ty).clone());
            }
            _ => {
                errors
                    .at(
                        "E_TYPE",
                        arg.value_span(),
                        "`env` is the type of the environment",
                    )
                    .help("write `env = Env`");
            }
        }
    }
}

/// The value of an argument as the table's checks take it.
fn raw(info: &KeyInfo, arg: &Arg) -> RawValue<Place> {
    match (&arg.value, info.value) {
        (Value::Expr(expr), ValueType::Code) if !matches!(**expr, Expr::Lit(_)) => RawValue::Code,
        (Value::Expr(expr), ValueType::CountOrCode { .. }) => match raw_expr(expr) {
            RawValue::Ident(_) => RawValue::Code,
            other => other,
        },
        (value, _) => raw_value(value),
    }
}

fn raw_value(value: &Value) -> RawValue<Place> {
    match value {
        Value::Flag => RawValue::Flag,
        Value::Type(_) => RawValue::Code,
        Value::Word(word) => RawValue::Ident(plain(word)),
        Value::Expr(expr) => raw_expr(expr),
        Value::List(args, _) => RawValue::Group(args.iter().map(raw_field).collect()),
    }
}

fn raw_field(arg: &Arg) -> RawField<Place> {
    RawField {
        name: arg.key.clone(),
        key: arg.span.into(),
        value: raw_value(&arg.value),
        place: arg.value_span().into(),
    }
}

fn raw_expr(expr: &Expr) -> RawValue<Place> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => raw_literal(lit, 1),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match &**expr {
            Expr::Lit(ExprLit { lit, .. }) => raw_literal(lit, -1),
            _ => RawValue::Code,
        },
        Expr::Path(path) => match path.path.get_ident() {
            Some(word) => RawValue::Ident(plain(word)),
            None => RawValue::Code,
        },
        Expr::Array(array) => RawValue::List(
            array
                .elems
                .iter()
                .map(|one| (raw_expr(one), one.span().into()))
                .collect(),
        ),
        Expr::Group(group) => raw_expr(&group.expr),
        Expr::Paren(paren) => raw_expr(&paren.expr),
        _ => RawValue::Code,
    }
}

fn raw_literal(lit: &Lit, sign: i8) -> RawValue<Place> {
    match lit {
        Lit::Str(text) => RawValue::Str(text.value()),
        Lit::Bool(truth) => RawValue::Bool(truth.value),
        Lit::Int(int) => match int.base10_parse::<i128>() {
            Ok(number) => RawValue::Int(number.saturating_mul(sign.into())),
            // It is out of bounds, whatever they are.
            Err(_) => RawValue::Int(i128::MAX.saturating_mul(sign.into())),
        },
        Lit::Float(float) => match float.base10_parse::<f64>() {
            Ok(number) => RawValue::Float(number * f64::from(sign)),
            Err(_) => RawValue::Other(format!("`{float}`")),
        },
        Lit::Char(_) => RawValue::Other("a character".to_owned()),
        _ => RawValue::Other("a literal of bytes".to_owned()),
    }
}

/// The outputs that `from` names.
fn doors(arg: &Arg, errors: &mut Errors) -> Vec<Door<Place>> {
    let key = &arg.key;
    let Some(expr) = arg.expr() else {
        errors
            .at(
                "E_FROM",
                arg.span,
                match key.as_str() {
                    "reply" => "`reply` needs the stage that answers".to_owned(),
                    _ => format!("`{key}` needs the stage that it reads"),
                },
            )
            .help(format!("write `{key} = stage`"));
        return Vec::new();
    };
    let list: Vec<&Expr> = match open(expr) {
        Expr::Array(array) => array.elems.iter().collect(),
        one => vec![one],
    };
    if list.is_empty() {
        errors
            .at(
                "E_FROM",
                arg.value_span(),
                format!("`{key}` names no stage"),
            )
            .help(match key.as_str() {
                "reply" => "write `reply = stage`".to_owned(),
                _ => format!(
                    "write `{key} = stage`, or `{key} = input` for items that the handle sends"
                ),
            });
    }
    list.into_iter()
        .filter_map(|one| door(key, one, errors))
        .collect()
}

fn door(key: &str, expr: &Expr, errors: &mut Errors) -> Option<Door<Place>> {
    let expr = open(expr);
    let Expr::Path(ExprPath {
        qself: None, path, ..
    }) = expr
    else {
        not_a_path(key, expr, errors);
        return None;
    };
    let plain_path = path.leading_colon.is_none()
        && path
            .segments
            .iter()
            .all(|segment| matches!(segment.arguments, PathArguments::None));
    let mut names = path
        .segments
        .iter()
        .map(|segment| Name::new(plain(&segment.ident), Place::Rust(segment.ident.span())));
    match (plain_path, names.next(), names.next(), names.next()) {
        (true, Some(stage), door, None) => Some(Door { stage, door }),
        _ => {
            errors
                .at("E_FROM", path.span(), "an output is a stage, or a stage and one door")
                .help(format!(
                    "write `{key} = stage` or `{key} = stage::Door`; a stage of another module is brought in by `use`"
                ));
            None
        }
    }
}

fn not_a_path(key: &str, expr: &Expr, errors: &mut Errors) {
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = expr
    {
        errors
            .at(
                "E_FROM",
                text.span(),
                format!("`{key}` is a path here, not a string"),
            )
            .help(format!("write `{key} = {}`", text.value()));
        return;
    }
    errors
        .at(
            "E_FROM",
            expr.span(),
            format!("`{key}` names a stage, and this is another expression"),
        )
        .help(format!(
            "write `{key} = stage`, `{key} = stage::Door` or `{key} = [a, b]`"
        ));
}

fn open(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => open(&group.expr),
        Expr::Paren(paren) => open(&paren.expr),
        other => other,
    }
}
