//! Tests on models that are built here, message by message.

mod decomposition;
mod external;
mod hostile;
mod indices;
mod models;
mod normalisation;
mod shapes;
mod tensors;
mod walk;
