/* Uses every function of mlcc.h: argv[1] is an artifact of y[n, 4] = x[n, 4] + w, argv[2] a file
 * that is none, argv[3] the artifact with w damaged. Prints one line for each thing that is wrong, nothing otherwise. */
#include "mlcc.h"

#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(int holds, const char *what) {
    if (!holds) {
        printf("%s\n", what);
        failures++;
    }
}

static void fails(int32_t status, int32_t expected, char *error, const char *part) {
    check(status == expected, part);
    check(error != NULL && strstr(error, part) != NULL, error ? error : part);
    mlcc_string_free(error);
}

int main(int argc, char **argv) {
    mlcc_model *model = NULL;
    mlcc_context *context = NULL;
    mlcc_value_info info;
    char *error = NULL;
    int32_t status;
    int64_t dims[2] = {3, 4}, found[2] = {0, 0};
    float x[12], y[12];
    mlcc_tensor input = {x, sizeof x, dims, 2, MLCC_F32};
    mlcc_tensor output = {y, sizeof y, dims, 2, MLCC_F32};
    mlcc_tensor bad = {x, sizeof x, dims, 2, MLCC_I32};
    int i;

    if (argc != 4) {
        return 2;
    }
    check(mlcc_interface_version() == MLCC_INTERFACE_VERSION, "version");
    status = mlcc_model_load(argv[2], 1, &model, &error);
    fails(status, MLCC_BAD_ARTIFACT, error, "not an mlcc artifact");
    status = mlcc_model_load(NULL, 1, &model, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "path is NULL");
    status = mlcc_model_load(argv[1], 99999, &model, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "99999 threads are beyond reason");
    check(mlcc_model_load(argv[2], 1, &model, NULL) == MLCC_BAD_ARTIFACT, "no place for the error");
    status = mlcc_model_load(argv[3], 1, &model, &error);
    fails(status, MLCC_BAD_ARTIFACT, error, "the checksum of its weights does not match");
    status = mlcc_model_load_with(argv[3], 1, 6, &model, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "0x6 has bits that are no mlcc_load_flags");
    check(mlcc_model_load_with(argv[3], 1, MLCC_TRUST_WEIGHTS, &model, NULL) == MLCC_OK, "trusted weights");
    mlcc_model_free(model);
    error = (char *)argv[0];
    if (mlcc_model_load(argv[1], 2, &model, &error) != MLCC_OK) {
        printf("load: %s\n", error);
        return 1;
    }
    check(error == NULL, "the error is set to NULL on success");

    check(mlcc_model_input_count(model) == 1 && mlcc_model_output_count(model) == 1, "counts");
    check(mlcc_model_input_count(NULL) == 0 && mlcc_model_output_count(NULL) == 0, "counts of NULL");
    check(mlcc_model_input(model, 0, &info, NULL) == MLCC_OK, "input");
    check(strcmp(info.name, "x") == 0 && strcmp(info.shape, "[n, 4]") == 0, "name and shape");
    check(info.rank == 2 && info.dtype == MLCC_F32, "rank and dtype");
    check(mlcc_model_output(model, 0, &info, NULL) == MLCC_OK && strcmp(info.name, "y") == 0, "output");
    status = mlcc_model_output(model, 1, &info, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "no output 1");
    check(mlcc_model_input_dims(model, 0, found, NULL) == MLCC_OK, "input dims");
    check(found[0] == -1 && found[1] == 4, "a symbolic and a static dimension");
    check(mlcc_model_output_dims(model, 0, found, NULL) == MLCC_OK && found[0] == -1, "output dims");
    check(mlcc_model_output_dims_for(model, &input, 1, 0, found, NULL) == MLCC_OK, "output dims for");
    check(found[0] == 3 && found[1] == 4, "the dimensions for this input");

    for (i = 0; i < 12; i++) {
        x[i] = (float)i;
        y[i] = -1;
    }
    check(mlcc_model_run(model, &input, 1, &output, 1, NULL) == MLCC_OK, "run");
    for (i = 0; i < 12; i++) {
        check(y[i] == (float)i + 10.0f * (float)(i % 4 + 1), "result");
        y[i] = -1;
    }
    status = mlcc_model_run(model, NULL, 0, &output, 1, &error);
    fails(status, MLCC_BAD_TENSOR, error, "1 input ");
    status = mlcc_model_run(model, NULL, 1, &output, 1, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "inputs is NULL");
    status = mlcc_model_run(model, &bad, 1, &output, 1, &error);
    fails(status, MLCC_BAD_TENSOR, error, "expected f32 [n, 4]");
    bad.dtype = 8;
    status = mlcc_model_run(model, &bad, 1, &output, 1, &error);
    fails(status, MLCC_INVALID_ARGUMENT, error, "no mlcc_dtype");

    check(mlcc_context_new(model, &context, NULL) == MLCC_OK, "context");
    mlcc_model_free(model);
    dims[0] = 2;
    input.bytes = output.bytes = 2 * 4 * sizeof(float);
    check(mlcc_context_run(context, &input, 1, &output, 1, NULL) == MLCC_OK, "run in a context");
    check(y[7] == 7.0f + 40.0f && y[8] == -1.0f, "result of the context");
    mlcc_context_free(context);
    mlcc_context_free(NULL);
    mlcc_model_free(NULL);
    mlcc_string_free(NULL);
    return failures != 0;
}
