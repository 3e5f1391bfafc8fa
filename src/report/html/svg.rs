//! Plots: columns and a curve. Each has a title and a description for those who do not see it,
//! and each mark a title of its own.

use std::fmt::Write as _;

use crate::document::escaped as esc;

/// The width of a plot in its own units; it is scaled to the page.
const WIDTH: f64 = 520.0;
/// The height of columns and curves.
const HEIGHT: f64 = 230.0;
/// What is left free beside the marks.
const LEFT: f64 = 60.0;
/// What is left free above the marks.
const TOP: f64 = 12.0;
/// What is left free below the marks.
const BOTTOM: f64 = 34.0;

/// A plot, to be put into a page.
#[derive(Debug)]
pub(super) struct Plot {
    /// What it shows.
    pub title: String,
    /// What is to be seen in it.
    pub about: String,
    /// The plot itself.
    pub svg: String,
}

/// A mark of a plot.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub name: String,
    pub value: f64,
    /// The value in words.
    pub text: String,
    /// Its look: `mark` or `bad`.
    pub class: &'static str,
    /// How much of the value is overdue; drawn in red at the foot of a column.
    pub bad: f64,
}

impl Mark {
    /// A mark of the usual look.
    pub fn new(name: impl Into<String>, value: f64, text: impl Into<String>) -> Self {
        Self { name: name.into(), value, text: text.into(), class: "mark", bad: 0.0 }
    }

    /// The same with a part that is overdue.
    pub fn bad(self, bad: f64) -> Self {
        Self { bad, ..self }
    }

    /// The same with another look.
    pub fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }
}

/// How the values of an axis are written.
pub(super) type Words = fn(f64) -> String;

fn open(out: &mut String, id: &str, title: &str, about: &str, height: f64) {
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        esc(title),
        esc(about)
    );
}

/// A round number that is not below the greatest value, and how many steps lead to it.
fn top_of(values: impl Iterator<Item = f64>, is_bytes: bool) -> (f64, usize) {
    let greatest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    if greatest <= 0.0 {
        return (1.0, 1);
    }
    let unit = if is_bytes { 1024_f64.powf(greatest.log(1024.0).floor().max(0.0)) } else { 1.0 };
    let scaled = greatest / unit;
    let magnitude = 10_f64.powf((scaled / 4.0).max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| step * 4.0 >= scaled)
        .unwrap_or(magnitude * 10.0);
    // There is no half of a session.
    let step = if is_bytes { step } else { step.ceil().max(1.0) };
    let steps = (scaled / step).ceil().max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most ten steps")]
    (steps * step * unit, steps as usize)
}

fn axis(out: &mut String, top: f64, steps: usize, words: Words) {
    let (bottom, height) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP);
    for at in 0..=steps {
        #[allow(clippy::cast_precision_loss, reason = "at most ten steps")]
        let part = at as f64 / steps as f64;
        let y = bottom - part * height;
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            esc(&words(top * part))
        );
    }
}

/// Columns side by side, such as counts a day; `every` names each so many of them.
pub(super) fn columns(
    id: &str,
    (title, about): (&str, &str),
    marks: &[Mark],
    (words, is_bytes): (Words, bool),
    every: usize,
) -> Plot {
    let mut out = String::new();
    open(&mut out, id, title, about, HEIGHT);
    let (top, steps) = top_of(marks.iter().map(|mark| mark.value), is_bytes);
    axis(&mut out, top, steps, words);
    let (bottom, height) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP);
    #[allow(clippy::cast_precision_loss, reason = "a few hundred columns at most")]
    let step = (WIDTH - LEFT) / marks.len().max(1) as f64;
    let gap = (step * 0.18).min(6.0);
    for (at, mark) in marks.iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "a few hundred columns at most")]
        let x = LEFT + at as f64 * step;
        let tall = (mark.value / top * height).clamp(0.0, height);
        // What is there is to be seen, however little it is.
        let tall = if mark.value > 0.0 { tall.max(1.5) } else { 0.0 };
        let _ = writeln!(
            out,
            "<g><title>{}: {}</title><rect x=\"{x:.1}\" y=\"{TOP}\" width=\"{step:.1}\" height=\"{height}\" fill=\"none\" pointer-events=\"all\"/>\
             <rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" rx=\"1.5\"/></g>",
            esc(&mark.name),
            esc(&mark.text),
            mark.class,
            x + gap / 2.0,
            bottom - tall,
            (step - gap).max(1.0)
        );
        if mark.bad > 0.0 {
            let tall = (mark.bad / top * height).clamp(1.5, height);
            let _ = writeln!(
                out,
                "<rect class=\"bad\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" rx=\"1.5\" pointer-events=\"none\"/>",
                x + gap / 2.0,
                bottom - tall,
                (step - gap).max(1.0)
            );
        }
        if at % every.max(1) == 0 {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + step / 2.0,
                bottom + 18.0,
                esc(&mark.name)
            );
        }
    }
    out.push_str("</svg>\n");
    Plot { title: title.to_owned(), about: about.to_owned(), svg: out }
}

/// A curve through points in time; the position of each is its part of the whole span, from 0 to 1.
pub(super) fn curve(
    id: &str,
    (title, about): (&str, &str),
    points: &[(f64, Mark)],
    (words, is_bytes): (Words, bool),
    ends: [&str; 2],
) -> Plot {
    let mut out = String::new();
    open(&mut out, id, title, about, HEIGHT);
    let (top, steps) = top_of(points.iter().map(|(_, mark)| mark.value), is_bytes);
    axis(&mut out, top, steps, words);
    let (bottom, height, width) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP, WIDTH - LEFT - 8.0);
    let place = |at: f64, value: f64| {
        (LEFT + at.clamp(0.0, 1.0) * width, bottom - (value / top * height).clamp(0.0, height))
    };
    let mut path = String::new();
    for (number, (at, mark)) in points.iter().enumerate() {
        let (x, y) = place(*at, mark.value);
        let _ = write!(path, "{}{x:.1} {y:.1}", if number == 0 { "M" } else { " L" });
    }
    if !path.is_empty() {
        let _ = writeln!(out, "<path class=\"curve\" d=\"{path}\"/>");
    }
    for (at, mark) in points {
        let (x, y) = place(*at, mark.value);
        let _ = writeln!(
            out,
            "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{}: {}</title></circle>",
            mark.class,
            esc(&mark.name),
            esc(&mark.text)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text><text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        bottom + 18.0,
        esc(ends[0]),
        bottom + 18.0,
        esc(ends[1])
    );
    out.push_str("</svg>\n");
    Plot { title: title.to_owned(), about: about.to_owned(), svg: out }
}
