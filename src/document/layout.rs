//! Tables that fit.

use super::width::{columns, fitted, shortened_path, with_tilde};
use super::{Column, Hue, Paint, Shape, Table};

/// Blanks between two columns.
const GAP: usize = 2;
/// A path of so many columns can still be told from others, as a text can.
const LEAST_PATH: usize = 16;
const LEAST_TEXT: usize = 12;
/// What nothing is made narrower than.
const NARROWEST: usize = 8;

/// The lines of a table.
pub(super) fn table(table: &Table, indent: usize, paint: Paint<'_>) -> String {
    let paint = if paint.is_whole { paint.of_any_width() } else { paint };
    let room = paint.width.map(|width| width.saturating_sub(indent));
    let natural: Vec<usize> = (0..table.columns.len()).map(|at| natural(table, at, paint)).collect();
    let shown = shown(table, &natural, room);
    let widths = widths(table, &natural, &shown, room);
    let mut out = String::new();
    let header: Vec<String> = shown.iter().map(|at| table.columns[*at].title.to_uppercase()).collect();
    line(&mut out, table, &header, &shown, &widths, indent, Hue::Strong, paint);
    for row in &table.rows {
        let cells: Vec<String> = shown
            .iter()
            .zip(&widths)
            .map(|(at, width)| {
                let cell = row.cells.get(*at).map(String::as_str).unwrap_or_default();
                fit(&table.columns[*at], cell, *width, paint)
            })
            .collect();
        line(&mut out, table, &cells, &shown, &widths, indent, row.hue, paint);
    }
    out
}

/// A cell as wide as its column at most.
fn fit(column: &Column, cell: &str, width: usize, paint: Paint<'_>) -> String {
    match column.shape {
        _ if paint.width.is_none() => cell.to_owned(),
        Shape::Path => shortened_path(cell, width, paint),
        Shape::Fixed | Shape::Text => fitted(cell, width, paint),
    }
}

/// How wide a column would be with all the room there is.
fn natural(table: &Table, at: usize, paint: Paint<'_>) -> usize {
    let column = &table.columns[at];
    let cells = table.rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| match column.shape {
        Shape::Path if paint.width.is_some() => columns(&with_tilde(cell, paint.home)),
        _ => columns(cell),
    });
    cells.chain([columns(&column.title)]).max().unwrap_or(0)
}

/// How narrow a column may become before another is left out.
fn least(column: &Column, natural: usize) -> usize {
    let title = columns(&column.title);
    match column.shape {
        Shape::Fixed => natural,
        Shape::Path => natural.min(LEAST_PATH.max(title)),
        Shape::Text => natural.min(LEAST_TEXT.max(title)),
    }
}

/// The columns that are shown: those of the highest rank go first.
fn shown(table: &Table, natural: &[usize], room: Option<usize>) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..table.columns.len()).collect();
    let Some(room) = room else { return shown };
    let needed = |shown: &[usize]| {
        shown.iter().map(|at| least(&table.columns[*at], natural[*at])).sum::<usize>()
            + GAP * shown.len().saturating_sub(1)
    };
    while needed(&shown) > room {
        let last = shown.iter().copied().filter(|at| table.columns[*at].rank > 0);
        let Some(last) = last.max_by_key(|at| (table.columns[*at].rank, *at)) else { break };
        shown.retain(|at| *at != last);
    }
    shown
}

/// How wide each of the shown columns is: the widest that can be shortened give way.
fn widths(table: &Table, natural: &[usize], shown: &[usize], room: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = shown.iter().map(|at| natural[*at]).collect();
    let Some(room) = room.map(|room| room.saturating_sub(GAP * shown.len().saturating_sub(1))) else {
        return widths;
    };
    while widths.iter().sum::<usize>() > room {
        let gives = |place: &usize| table.columns[shown[*place]].shape != Shape::Fixed;
        let wide = |place: &usize| widths[*place] > NARROWEST;
        let widest = (0..widths.len()).filter(|place| gives(place) && wide(place));
        let Some(widest) = widest.max_by_key(|place| widths[*place]) else { break };
        widths[widest] -= 1;
    }
    widths
}

#[expect(clippy::too_many_arguments, reason = "what one line is made from")]
fn line(
    out: &mut String,
    table: &Table,
    cells: &[String],
    shown: &[usize],
    widths: &[usize],
    indent: usize,
    hue: Hue,
    paint: Paint<'_>,
) {
    let mut text = String::new();
    for ((cell, at), width) in cells.iter().zip(shown).zip(widths) {
        let blanks = " ".repeat(width.saturating_sub(columns(cell)));
        let (before, after) =
            if table.columns[*at].is_number { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
        if !text.is_empty() {
            text.push_str("  ");
        }
        text.push_str(before);
        text.push_str(cell);
        text.push_str(after);
    }
    out.push_str(&" ".repeat(indent));
    out.push_str(&paint.hued(hue, text.trim_end()));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(vec![
            Column::path("project"),
            Column::number("sessions"),
            Column::number("size"),
            Column::new("owner").rank(2),
            Column::text("rule").rank(1),
        ]);
        table.row(["/home/maya/work/acme/services/payments-api", "12", "232 KiB", "maya", "default, logs"]);
        table.row(["/tmp/日本", "1", "4 B", "maya", "default"]);
        table
    }

    #[test]
    fn it_fits_and_columns_go_by_their_rank() {
        let paint = |width| Paint::new(false).fitting(Some(width), Some("/home/maya"));
        for width in 30..120 {
            for line in paint(width).table(&sample(), 2).lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
        }
        let narrow = paint(56).table(&sample(), 2);
        assert!(!narrow.contains("OWNER") && narrow.contains("RULE"), "{narrow}");
        assert!(!paint(42).table(&sample(), 2).contains("RULE"));
    }

    #[test]
    fn a_pipe_has_everything() {
        let text = Paint::new(false).table(&sample(), 0);
        assert_eq!(
            text,
            "PROJECT                                     SESSIONS     SIZE  OWNER  RULE\n\
             /home/maya/work/acme/services/payments-api        12  232 KiB  maya   default, logs\n\
             /tmp/日本                                          1      4 B  maya   default\n"
        );
    }
}
