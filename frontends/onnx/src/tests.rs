//! Tests on models that are built here, message by message.

mod decomposition;
mod defaults;
mod external;
mod hostile;
mod indices;
mod models;
mod names;
mod normalisation;
mod order;
mod shapes;
mod tensors;
mod walk;
