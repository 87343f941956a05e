//! The calls as gRPC.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use mooring_proto::report_v1 as v1;
use mooring_proto::report_v1::report_service_server::ReportService;
use tonic::{Request, Response, Status};

use crate::api::Api;

#[tonic::async_trait]
impl ReportService for Api {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        Ok(Response::new(Self::register(self, request.get_ref())?))
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        Ok(Response::new(Self::report(self, request.get_ref())?))
    }

    type WatchOrdersStream = Pin<Box<dyn Stream<Item = Result<v1::WatchOrdersResponse, Status>> + Send>>;

    async fn watch_orders(
        &self,
        request: Request<v1::WatchOrdersRequest>,
    ) -> Result<Response<Self::WatchOrdersStream>, Status> {
        let orders = self.watch(request.get_ref())?;
        let stream = orders.map(|order| Ok(v1::WatchOrdersResponse { order: Some(order) }));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn poll_orders(
        &self,
        request: Request<v1::PollOrdersRequest>,
    ) -> Result<Response<v1::PollOrdersResponse>, Status> {
        Ok(Response::new(self.poll(request.get_ref()).await?))
    }

    async fn answer_order(
        &self,
        request: Request<v1::AnswerOrderRequest>,
    ) -> Result<Response<v1::AnswerOrderResponse>, Status> {
        Ok(Response::new(self.answer(request.get_ref())?))
    }
}
