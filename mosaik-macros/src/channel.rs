//! The two ends of a stream, as `#[stream]` and `declare::stream!` both expand them.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Generics, Ident, Type, Visibility};

use crate::{crate_path::CratePath, generics::travelling, intent::Intent};

/// Everything that is known about a stream when its constructors are written.
pub(crate) struct Channel {
    pub(crate) krate: CratePath,
    pub(crate) vis: Visibility,
    pub(crate) name: Ident,
    /// As written.
    pub(crate) generics: Generics,
    /// Whether values of the type parameters travel inside of the datum.
    pub(crate) carries_parameters: bool,
    pub(crate) id: ChannelId,
    /// What travels; `None` is the type itself.
    pub(crate) datum: Option<Type>,
    pub(crate) producer: Option<ProducerEnd>,
    pub(crate) consumer: Option<ConsumerEnd>,
    /// Whether the type gets `producer`, `consumer` and the like as functions of its own.
    pub(crate) constructors: bool,
}

/// Where the stream's id comes from.
pub(crate) enum ChannelId {
    /// The datum type's own.
    OfDatum,
    /// The datum's own, which is `Self` and has this name.
    OfSelf(Intent),
    /// A name beside the datum's.
    Named(Intent),
    /// Whatever this evaluates to.
    Expr(Expr),
}

/// How the producing end is opened.
#[derive(Default)]
pub(crate) struct ProducerEnd {
    pub(crate) buffer: Option<Expr>,
    pub(crate) on_lag: Option<OnLag>,
    pub(crate) disconnect_lagging: Option<Expr>,
    pub(crate) retain: Option<Expr>,
    pub(crate) max_consumers: Option<Expr>,
    pub(crate) require: Vec<Expr>,
    pub(crate) require_ticket: Vec<Expr>,
    pub(crate) online_when: Option<Expr>,
}

/// What becomes of a consumer that lags.
#[derive(Clone, Copy)]
pub(crate) enum OnLag {
    Block,
    DropOldest,
    Disconnect,
}

impl OnLag {
    fn tokens(self, private: &TokenStream) -> TokenStream {
        match self {
            Self::Block => quote!(#private::OnLag::Block),
            Self::DropOldest => quote!(#private::OnLag::DropOldest),
            Self::Disconnect => quote!(#private::OnLag::Disconnect),
        }
    }
}

/// How the consuming end is opened.
#[derive(Default)]
pub(crate) struct ConsumerEnd {
    pub(crate) criteria: Option<Expr>,
    pub(crate) backoff: Option<Expr>,
    pub(crate) require: Vec<Expr>,
    pub(crate) require_ticket: Vec<Expr>,
    pub(crate) online_when: Option<Expr>,
}

impl Channel {
    /// The inherent items, and the traits behind `ProducerOf` and `ConsumerOf`.
    pub(crate) fn expand(&self) -> TokenStream {
        let inherent = self.inherent();
        let producer = self.producer.as_ref().map(|end| self.producer_impl(end));
        let consumer = self.consumer.as_ref().map(|end| self.consumer_impl(end));
        quote!(#inherent #producer #consumer)
    }

    /// The parameters with all bounds that impls need.
    pub(crate) fn bounded(&self) -> Generics {
        match self.carries_parameters {
            true => travelling(&self.generics, &self.krate.private()),
            false => self.generics.clone(),
        }
    }

    fn datum(&self) -> TokenStream {
        self.datum.as_ref().map_or_else(|| quote!(Self), |ty| quote!(#ty))
    }

    /// `.with_stream_id(…)`, where the datum does not settle the id.
    fn named(&self) -> Option<TokenStream> {
        match &self.id {
            ChannelId::OfDatum | ChannelId::OfSelf(_) => None,
            ChannelId::Named(intent) => {
                let id = intent.id_tokens(&self.krate);
                Some(quote!(.with_stream_id(#id)))
            }
            ChannelId::Expr(expr) => Some(quote!(.with_stream_id(#expr))),
        }
    }

    fn inherent(&self) -> TokenStream {
        let consts = self.consts();
        let producer = self.producer.as_ref().filter(|_| self.constructors);
        let producer = producer.map(|_| self.producer_constructors());
        let consumer = self.consumer.as_ref().filter(|_| self.constructors);
        let consumer = consumer.map(|_| self.consumer_constructors());
        if consts.is_empty() && producer.is_none() && consumer.is_none() {
            return TokenStream::new();
        }
        let name = &self.name;
        let generics = self.bounded();
        let (impl_generics, type_generics, bounds) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            #[allow(dead_code, deprecated, private_interfaces)]
            impl #impl_generics #name #type_generics #bounds {
                #consts
                #producer
                #consumer
            }
        }
    }

    fn consts(&self) -> TokenStream {
        let (ChannelId::OfSelf(intent) | ChannelId::Named(intent)) = &self.id else {
            return TokenStream::new();
        };
        let (private, vis) = (self.krate.private(), &self.vis);
        let text = intent.text_tokens(&self.krate);
        let id = intent.id_tokens(&self.krate);
        let plain = self.generics.params.is_empty();
        let stream_id = plain.then(|| {
            quote! {
                /// The id of this stream: the hash of its intent.
                #vis const STREAM_ID: #private::StreamId = #id;
            }
        });
        quote! {
            /// The name of this stream.
            #vis const INTENT: &'static #private::str = #text;
            #stream_id
        }
    }

    fn producer_constructors(&self) -> TokenStream {
        let (private, vis, datum) = (self.krate.private(), &self.vis, self.datum());
        let network = network();
        quote! {
            /// Opens the producing end of this stream, or hands back the one that is open on this
            /// network already.
            #[must_use]
            #vis fn producer(#network: &#private::Network) -> #private::Producer<#datum> {
                <Self as #private::StreamProducer>::producer(#network)
            }

            /// Opens the producing end of this stream and waits until it is online.
            #vis fn online_producer(
                #network: &#private::Network,
            ) -> impl #private::core::future::Future<Output = #private::Producer<#datum>>
            + #private::core::marker::Send
            + #private::core::marker::Sync
            + 'static {
                <Self as #private::StreamProducer>::online_producer(#network)
            }
        }
    }

    fn consumer_constructors(&self) -> TokenStream {
        let (private, vis, datum) = (self.krate.private(), &self.vis, self.datum());
        let network = network();
        quote! {
            /// Opens a consuming end of this stream.
            #[must_use]
            #vis fn consumer(#network: &#private::Network) -> #private::Consumer<#datum> {
                <Self as #private::StreamConsumer>::consumer(#network)
            }

            /// Opens a consuming end of this stream and waits until it is online.
            #vis fn online_consumer(
                #network: &#private::Network,
            ) -> impl #private::core::future::Future<Output = #private::Consumer<#datum>>
            + #private::core::marker::Send
            + #private::core::marker::Sync
            + 'static {
                <Self as #private::StreamConsumer>::online_consumer(#network)
            }
        }
    }

    fn producer_impl(&self, end: &ProducerEnd) -> TokenStream {
        let (private, name, datum) = (self.krate.private(), &self.name, self.datum());
        let generics = self.bounded();
        let (impl_generics, type_generics, bounds) = generics.split_for_impl();
        let (network, named) = (network(), self.named());
        let buffer = end.buffer.iter();
        let on_lag = end.on_lag.iter().map(|on_lag| on_lag.tokens(&private));
        let disconnect_lagging = end.disconnect_lagging.iter();
        let retain = end.retain.iter();
        let max_consumers = end.max_consumers.iter();
        let (require, require_ticket) = (&end.require, &end.require_ticket);
        let online_when = end.online_when.iter();
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl #impl_generics #private::StreamProducer for #name #type_generics #bounds {
                type Producer = #private::Producer<#datum>;

                fn producer(#network: &#private::Network) -> Self::Producer {
                    #private::opened(
                        #network.streams().producer::<#datum>()
                            #named
                            #(.with_buffer_size(#buffer))*
                            #(.on_lag(#on_lag))*
                            #(.disconnect_lagging(#disconnect_lagging))*
                            #(.retain(#retain))*
                            #(.with_max_consumers(#max_consumers))*
                            #(.require(#require))*
                            #(.require_ticket(#require_ticket))*
                            #(.online_when(#online_when))*
                            .build(),
                    )
                }

                fn online_producer(
                    #network: &#private::Network,
                ) -> impl #private::core::future::Future<Output = Self::Producer>
                + #private::core::marker::Send
                + #private::core::marker::Sync
                + 'static {
                    #private::online_producer(<Self as #private::StreamProducer>::producer(#network))
                }
            }
        }
    }

    fn consumer_impl(&self, end: &ConsumerEnd) -> TokenStream {
        let (private, name, datum) = (self.krate.private(), &self.name, self.datum());
        let generics = self.bounded();
        let (impl_generics, type_generics, bounds) = generics.split_for_impl();
        let (network, named) = (network(), self.named());
        let (criteria, backoff) = (end.criteria.iter(), end.backoff.iter());
        let (require, require_ticket) = (&end.require, &end.require_ticket);
        let online_when = end.online_when.iter();
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl #impl_generics #private::StreamConsumer for #name #type_generics #bounds {
                type Consumer = #private::Consumer<#datum>;

                fn consumer(#network: &#private::Network) -> Self::Consumer {
                    #network.streams().consumer::<#datum>()
                        #named
                        #(.with_criteria(#criteria))*
                        #(.with_backoff(#backoff))*
                        #(.require(#require))*
                        #(.require_ticket(#require_ticket))*
                        #(.online_when(#online_when))*
                        .build()
                }

                fn online_consumer(
                    #network: &#private::Network,
                ) -> impl #private::core::future::Future<Output = Self::Consumer>
                + #private::core::marker::Send
                + #private::core::marker::Sync
                + 'static {
                    #private::online_consumer(<Self as #private::StreamConsumer>::consumer(#network))
                }
            }
        }
    }
}

/// The parameter of constructors: a name that expressions of the user cannot see.
fn network() -> Ident {
    Ident::new("network", Span::mixed_site())
}
