//! Writes the gRPC client and server as the generator would from a `.proto` file, without needing `protoc`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "grpc")]
    {
        use tonic_build::manual::{Builder, Method, Service};
        let put = Method::builder()
            .name("put")
            .route_name("Put")
            .input_type("crate::grpc::Block")
            .output_type("crate::grpc::Block")
            .codec_path("tonic_prost::ProstCodec")
            .client_streaming()
            .build();
        let flow = Service::builder()
            .name("Flow")
            .package("peers")
            .method(put)
            .build();
        Builder::new().compile(&[flow]);
    }
}
