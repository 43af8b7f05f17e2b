//! The values of the three levels: graphs of operators, tensor expressions, loop nests.
