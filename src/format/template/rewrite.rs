//! Prepares a parsed template: field access and method calls go through our own functions, functions that do not exist
//! are found before anything is printed, escapes in the text are resolved.

use gotmpl::parse::{CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr};

use super::TemplateError;
use super::functions::{FIELD, exists};

/// Rewrites the tree in place.
pub(super) fn prepare(tree: &mut ListNode) -> Result<(), TemplateError> {
    for node in &mut tree.nodes {
        match node {
            Node::List(list) => prepare(list)?,
            Node::Text(text) => {
                if text.text.contains('\\') {
                    text.text = text.text.replace("\\t", "\t").replace("\\n", "\n").into();
                }
            }
            Node::Action(action) => pipe(&mut action.pipe)?,
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                pipe(&mut branch.pipe)?;
                prepare(&mut branch.body)?;
                if let Some(body) = &mut branch.else_body {
                    prepare(body)?;
                }
            }
            Node::Template(call) => {
                if let Some(argument) = &mut call.pipe {
                    pipe(argument)?;
                }
            }
            Node::Define(define) => prepare(&mut define.body)?,
            Node::Break(_) | Node::Continue(_) => {}
        }
    }
    Ok(())
}

/// Removes the mark from the end of the tree; when it is not there, the parser has not read everything.
pub(super) fn take_end_mark(tree: &mut ListNode, mark: &str) -> Result<(), TemplateError> {
    if let Some(Node::Text(last)) = tree.nodes.last_mut()
        && let Some(text) = last.text.strip_suffix(mark)
    {
        last.text = text.into();
        return Ok(());
    }
    let what = if ends_in_block(tree, mark) {
        "unexpected end of the template: {{end}} is missing"
    } else {
        "unexpected {{end}} or {{else}}"
    };
    Err(TemplateError::Parse(format!("template: {what}")))
}

/// Whether the mark is at the end of the last block.
fn ends_in_block(tree: &ListNode, mark: &str) -> bool {
    match tree.nodes.last() {
        Some(Node::Text(text)) => text.text.ends_with(mark),
        Some(Node::If(branch) | Node::Range(branch) | Node::With(branch)) => {
            ends_in_block(branch.else_body.as_ref().unwrap_or(&branch.body), mark)
        }
        Some(Node::List(list)) => ends_in_block(list, mark),
        _ => false,
    }
}

fn pipe(node: &mut PipeNode) -> Result<(), TemplateError> {
    for (at, command) in node.commands.iter_mut().enumerate() {
        // `.Label "k"` and `"k" | .Label`: a field with arguments is a method.
        let fields = matches!(command.args.first(), Some(Expr::Field(..) | Expr::Variable(..) | Expr::Chain(..)));
        let is_call = fields && (at > 0 || command.args.len() > 1);
        for arg in &mut command.args {
            expression(arg)?;
        }
        if is_call && !matches!(command.args.first(), Some(Expr::Chain(..))) {
            command.args.insert(0, Expr::Identifier(command.pos, SmolStr::new("call")));
        }
    }
    Ok(())
}

fn expression(expr: &mut Expr) -> Result<(), TemplateError> {
    match expr {
        Expr::Field(pos, path) => *expr = field(*pos, Expr::Dot(*pos), path),
        Expr::Variable(pos, name, path) if !path.is_empty() => {
            *expr = field(*pos, Expr::Variable(*pos, name.clone(), Vec::new()), path);
        }
        Expr::Chain(pos, inner, path) => {
            // `func.Field`: the function's arguments stand beside it, so it stays as it is.
            if let Expr::Identifier(_, name) = inner.as_ref() {
                return function(*pos, name);
            }
            expression(inner)?;
            *expr = field(*pos, inner.as_ref().clone(), path);
        }
        Expr::Pipe(_, inner) => pipe(inner)?,
        Expr::Identifier(pos, name) => function(*pos, name)?,
        Expr::Dot(_) | Expr::Variable(..) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => {}
    }
    Ok(())
}

fn function(pos: Pos, name: &str) -> Result<(), TemplateError> {
    if exists(name) {
        return Ok(());
    }
    Err(TemplateError::Parse(format!("template: line {}: function {name:?} not defined", pos.line)))
}

/// `(field base "A.B.C")`.
fn field(pos: Pos, base: Expr, path: &[SmolStr]) -> Expr {
    let args = vec![
        Expr::Identifier(pos, SmolStr::new(FIELD)),
        base,
        Expr::String(pos, path.join(".").into()),
    ];
    let commands = vec![CommandNode { pos, args }];
    Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands, is_assign: false })
}
