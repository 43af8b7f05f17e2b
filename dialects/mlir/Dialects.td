//===- Dialects.td - Every dialect of mlcc --------------------------------===//

include "graph/Ops.td"
include "tensor/Ops.td"
include "loop/Ops.td"
