# lb_warnings: an interface library that carries every compiler flag we share.
include(CheckCCompilerFlag)

add_library(lb_warnings INTERFACE)

foreach(flag
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wvla -Wundef -Wformat=2 -Wcast-qual -Wcast-align=strict -Wpointer-arith
    -Wwrite-strings -Wdouble-promotion
    -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init
    -Wimplicit-fallthrough)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_c_compiler_flag("-Werror ${flag}" ${have})
  if(${have})
    target_compile_options(lb_warnings INTERFACE ${flag})
  endif()
endforeach()

if(LB_WERROR)
  target_compile_options(lb_warnings INTERFACE -Werror)
endif()
if(LB_SANITIZE)
  target_compile_options(lb_warnings INTERFACE
    -fsanitize=${LB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lb_warnings INTERFACE -fsanitize=${LB_SANITIZE})
endif()
if(LB_COVERAGE)
  target_compile_options(lb_warnings INTERFACE --coverage)
  target_link_options(lb_warnings INTERFACE --coverage)
endif()
if(LB_HARDEN)
  target_compile_options(lb_warnings INTERFACE
    -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  target_link_options(lb_warnings INTERFACE -Wl,-z,relro,-z,now)
endif()
if(LB_FUZZ)
  target_compile_options(lb_warnings INTERFACE -fsanitize=fuzzer-no-link)
endif()
