/* The C interface of mlcc's runtime.
 *
 * Load an artifact that `mlcc compile` wrote, ask for its inputs and outputs, run it on buffers of
 * your own. There is no global state. A model may be used by any number of threads at once; a
 * context by one at a time.
 *
 * Every function that can fail returns 0 when it succeeded and a status otherwise. Its last argument
 * receives the reason as text, which mlcc_string_free releases; it may be NULL where the reason is
 * of no interest. It is set to NULL on success.
 *
 * An artifact is code: load only what you would execute.
 */
#ifndef MLCC_H
#define MLCC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface; mlcc_interface_version() tells that of the library. */
#define MLCC_INTERFACE_VERSION 1

/* Whose fault it was. */
typedef enum mlcc_status {
    MLCC_OK = 0,
    MLCC_INVALID_ARGUMENT = 1, /* a NULL where there must be none, an index or number out of range */
    MLCC_BAD_ARTIFACT = 2,     /* the file is missing, damaged, of another version or machine */
    MLCC_BAD_TENSOR = 3,       /* number, type, shape or buffer of inputs or outputs */
    MLCC_OUT_OF_MEMORY = 4,    /* memory or threads */
    MLCC_FAILED = 5            /* anything else */
} mlcc_status;

/* Types of elements; the numbers are those of ONNX's TensorProto.DataType. */
typedef enum mlcc_dtype {
    MLCC_F32 = 1,
    MLCC_U8 = 2,
    MLCC_I8 = 3,
    MLCC_U16 = 4,
    MLCC_I16 = 5,
    MLCC_I32 = 6,
    MLCC_I64 = 7,
    MLCC_BOOL = 9,
    MLCC_F16 = 10,
    MLCC_F64 = 11,
    MLCC_U32 = 12,
    MLCC_U64 = 13,
    MLCC_BF16 = 16
} mlcc_dtype;

typedef struct mlcc_model mlcc_model;
typedef struct mlcc_context mlcc_context;

/* A tensor in memory of yours: row-major, without gaps, aligned to its elements. */
typedef struct mlcc_tensor {
    void *data;          /* inputs are only read */
    uint64_t bytes;      /* the size of data; must be that of the shape */
    const int64_t *dims; /* outermost first; may be NULL where rank is 0 */
    uint32_t rank;
    int32_t dtype;       /* a mlcc_dtype */
} mlcc_tensor;

/* An input or output. The texts belong to the model and live as long. */
typedef struct mlcc_value_info {
    const char *name;
    const char *shape; /* for people: "[batch, 3, 224, 224]" */
    uint32_t rank;
    int32_t dtype;     /* a mlcc_dtype */
} mlcc_value_info;

/* The version of the interface that the library has: the same number is compatible. */
uint32_t mlcc_interface_version(void);

/* Loads an artifact. threads counts the caller; 0 means one for each CPU that the process may use, and
 * more than 1024 (or the CPUs, where there are more) are refused.
 * The file is mapped and must not be written to or cut while the model lives, which would end the process
 * or give wrong values; replacing it by renaming, or removing it, is fine. A damaged file is refused: all of it is read and compared with its checksums, the weights on all threads. */
int32_t mlcc_model_load(const char *path, uint32_t threads, mlcc_model **model, char **error);

/* How a model is loaded. */
typedef enum mlcc_load_flags {
    /* The weights are taken as they are, without reading them: for very large files of whose soundness
     * something else is sure. Damaged weights give wrong results. */
    MLCC_TRUST_WEIGHTS = 1
} mlcc_load_flags;

/* As mlcc_model_load, with mlcc_load_flags joined by |, or 0. */
int32_t mlcc_model_load_with(const char *path, uint32_t threads, uint32_t flags, mlcc_model **model,
                             char **error);

/* Releases a model; contexts made from it go on working. NULL is allowed. */
void mlcc_model_free(mlcc_model *model);

/* The number of inputs and of outputs; 0 for NULL. */
uint32_t mlcc_model_input_count(const mlcc_model *model);
uint32_t mlcc_model_output_count(const mlcc_model *model);

/* Describes an input or output. */
int32_t mlcc_model_input(const mlcc_model *model, uint32_t index, mlcc_value_info *info, char **error);
int32_t mlcc_model_output(const mlcc_model *model, uint32_t index, mlcc_value_info *info, char **error);

/* Writes an input's or output's dimensions to dims, which has room for its rank: -1 where a
 * dimension depends on the shapes of a run. */
int32_t mlcc_model_input_dims(const mlcc_model *model, uint32_t index, int64_t *dims, char **error);
int32_t mlcc_model_output_dims(const mlcc_model *model, uint32_t index, int64_t *dims, char **error);

/* Writes the dimensions that an output has for inputs of these shapes (their data is not looked at)
 * to dims, which has room for its rank: -1 where a dimension depends on the data. */
int32_t mlcc_model_output_dims_for(const mlcc_model *model, const mlcc_tensor *inputs, uint32_t input_count,
                                   uint32_t index, int64_t *dims, char **error);

/* Runs the model; outputs have the shapes that mlcc_model_output_dims_for tells. Either all inputs are
 * given, or only those without a default, in order. Any number of threads may do so at once. What the outputs hold after a failure is unspecified. */
int32_t mlcc_model_run(const mlcc_model *model, const mlcc_tensor *inputs, uint32_t input_count,
                       const mlcc_tensor *outputs, uint32_t output_count, char **error);

/* A context keeps the memory of a run for the next one; one run at a time. mlcc_model_run keeps
 * contexts of its own: make one yourself to decide when that memory comes and goes. */
int32_t mlcc_context_new(const mlcc_model *model, mlcc_context **context, char **error);
void mlcc_context_free(mlcc_context *context);
int32_t mlcc_context_run(mlcc_context *context, const mlcc_tensor *inputs, uint32_t input_count,
                         const mlcc_tensor *outputs, uint32_t output_count, char **error);

/* Releases the text of an error. NULL is allowed. */
void mlcc_string_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
