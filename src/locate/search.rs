//! Finding stores anywhere below a folder, by their marks.
