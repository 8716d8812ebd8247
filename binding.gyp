{
  "targets": [
    {
      "target_name": "keyvol",
      "sources": ["<!@(find native -name '*.cc' -not -path '*/holder/*' | sort)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_DEPRECATED", "_FILE_OFFSET_BITS=64"],
      "cflags!": ["-fno-exceptions", "-O3"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-fno-rtti"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-O2", "-fstack-protector-strong"],
      "cflags_cc": ["-std=c++20", "-fexceptions", "-Wno-missing-field-initializers"],
      "libraries": ["-lcryptsetup"]
    },
    {
      "target_name": "keyvol-holder",
      "type": "executable",
      "sources": [
        "<!@(find native/transport/fuse/holder -name '*.cc' | sort)",
        "native/host/fuse_mount.cc",
        "native/host/fusermount.cc",
        "native/host/hardening.cc",
        "native/host/loop.cc",
        "native/host/mount.cc",
        "native/host/packets.cc",
        "native/host/unix_socket.cc",
        "native/status.cc",
        "native/transport/fuse/holder_messages.cc",
        "native/transport/fuse/ledger.cc",
        "native/transport/fuse/negotiation.cc"
      ],
      "include_dirs": ["native"],
      "cflags!": ["-fno-exceptions", "-O3"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-fno-rtti"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-O2", "-fstack-protector-strong"],
      "cflags_cc": ["-std=c++20", "-Wno-missing-field-initializers"],
      "defines": ["_FILE_OFFSET_BITS=64"]
    }
  ]
}
